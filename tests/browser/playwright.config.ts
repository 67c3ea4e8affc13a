// The browser tests: Debian's Chromium, each worker with a Stentor of its own.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "specs",
  outputDir: "../../target/browser-tests",
  fullyParallel: true,
  workers: 2,
  retries: process.env.CI ? 1 : 0, // CI's machine may be busy; the list names what passed only the second time
  timeout: 30_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["./src/counts.ts"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1100, height: 760 },
    locale: "en-GB",
    timezoneId: "UTC",
    colorScheme: "light",
    contextOptions: { reducedMotion: "reduce" }, // what is half faded in has no contrast yet
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Nothing that Chromium asks the world of its own accord; root has no sandbox.
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        // A name that is not the loopback's: to the browser, this machine is elsewhere.
        "--host-resolver-rules=MAP ops.example 127.0.0.1",
      ],
    },
  },
});
