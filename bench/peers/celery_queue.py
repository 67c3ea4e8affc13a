"""Celery: `push` or `consume`, the address of Redis, how many jobs, their payload."""

import json
import os
import sys
import time

from celery import Celery

step, url, count, payload = sys.argv[1:5]
n = int(count)
app = Celery("bench", broker=url)
app.conf.update(
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=0,  # as many as there are
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_redirect_stdouts=False,
)
begun, done = 0.0, 0


@app.task(name="job")
def job(text):
    global begun, done
    if done == 0:
        begun = time.perf_counter()
    done += 1
    if done == n:
        print(json.dumps({"per_second": n / (time.perf_counter() - begun)}), flush=True)
        os._exit(0)


if step == "push":
    text = json.loads(payload)
    with app.producer_pool.acquire(block=True) as producer:
        begun = time.perf_counter()
        for _ in range(n):
            job.apply_async((text,), producer=producer, retry=False)
        print(json.dumps({"per_second": n / (time.perf_counter() - begun)}))
else:
    app.worker_main(["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"])
