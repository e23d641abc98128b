"""Reads the results topic as a consumer group and prints each result, and each deletion, as a line of JSON.

    python results.py 127.0.0.1:9092 my-group [TOPIC] [--until-end]

Offsets are committed after the work, so a record is never missed; what was done but not committed comes once more after a crash, with the
same ce_id.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException


def header(record, name):
    """The first header of a name, as text."""
    for key, value in record.headers() or []:
        if key == name:
            return value.decode()
    return None


def work(record):
    if record.value() is None:
        # A tombstone: the analysis was deleted. Forget what you know of it.
        return {"analysis_id": record.key().decode(), "deleted": True}
    if header(record, "ce_type") != "trustcard.analysis.finished.v1":
        return None  # of a later release; not for this reader
    result = json.loads(record.value())
    return {
        "ce_id": header(record, "ce_id"),
        "analysis_id": result["analysis_id"],
        "post_id": result["post"]["post_id"],
        "status": result["status"],
        "trust_score": result["trust_score"],
    }


def main(bootstrap, group, topic="trustcard.results", until_end=False):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": until_end,
    })
    assigned, ended = set(), set()
    consumer.subscribe([topic], on_assign=lambda _, parts: assigned.update(p.partition for p in parts))
    while not (until_end and assigned and ended >= assigned):
        done = False
        for record in consumer.consume(500, timeout=1.0):
            if record.error():
                if record.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(record.error())
                ended.add(record.partition())
                continue
            told = work(record)
            if told is not None:
                print(json.dumps(told), flush=True)
            done = True
        if done:
            consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--until-end"]
    main(*arguments, until_end="--until-end" in sys.argv)
