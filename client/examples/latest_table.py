"""Makes a table of posts from the compacted topic, as of now, and prints it as one JSON document: post id -> score or null.

    python latest_table.py 127.0.0.1:9092 [TOPIC]

A program that keeps such a table goes on reading where this one stops. It needs no group: the table is rebuilt at each start.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition


def main(bootstrap, topic="trustcard.results.latest"):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "unused",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    open_partitions = set(partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    table = {}
    while open_partitions:
        record = consumer.poll(10.0)
        if record is None:
            sys.exit("the broker has gone silent")
        if record.error():
            if record.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(record.error())
            open_partitions.discard(record.partition())
            continue
        post_id = record.key().decode()
        if record.value() is None:
            table.pop(post_id, None)  # deleted, and no older result has taken its place
            continue
        result = json.loads(record.value())
        known = table.get(post_id)
        # Two stages may write within the same second; the newer run counts.
        if known is None or result["run"]["started_ms"] >= known["run"]["started_ms"]:
            table[post_id] = result
    consumer.close()
    print(json.dumps({post_id: result["trust_score"] for post_id, result in sorted(table.items())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
