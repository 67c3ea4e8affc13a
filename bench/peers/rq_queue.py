"""RQ: `push` or `consume`, the address of Redis, how many jobs, their payload."""

import json
import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker

step, url, count, payload = sys.argv[1:5]
n = int(count)
connection = Redis.from_url(url)
queue = Queue("bench", connection=connection)


def job(text):
    pass


if step == "push":
    text = json.loads(payload)
    begun = time.perf_counter()
    for _ in range(0, n, 200):
        queue.enqueue_many([Queue.prepare_data("rq_queue.job", args=(text,), result_ttl=0) for _ in range(200)])
    print(json.dumps({"per_second": n / (time.perf_counter() - begun)}))
else:
    worker = SimpleWorker([queue], connection=connection)
    begun = time.perf_counter()
    worker.work(burst=True, logging_level=logging.ERROR)
    took = time.perf_counter() - begun
    assert queue.count == 0, queue.count
    print(json.dumps({"per_second": n / took}))
