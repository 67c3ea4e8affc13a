// The last line that the runner prints: "N passed, N failed, N skipped".
import type { FullConfig, Reporter, Suite, TestCase } from "@playwright/test/reporter";

export default class Counts implements Reporter {
  #suite?: Suite;

  onBegin(_config: FullConfig, suite: Suite) {
    this.#suite = suite;
  }

  onExit(): Promise<void> {
    const tests: TestCase[] = this.#suite?.allTests() ?? [];
    const count = (...outcomes: string[]) => tests.filter((test) => outcomes.includes(test.outcome())).length;
    console.log(`${count("expected", "flaky")} passed, ${count("unexpected")} failed, ${count("skipped")} skipped`);
    return Promise.resolve();
  }
}
