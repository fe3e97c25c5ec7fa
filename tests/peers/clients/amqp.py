"""pika: the same as amqp.js. Prints what it counted."""

import sys

import pika

connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
channel = connection.channel()
channel.queue_declare("python")
for number in range(100):
    channel.basic_publish("", "python", b"x" * number * 3)
confirming = connection.channel()
confirming.confirm_delivery()
for number in range(50):
    confirming.basic_publish("", "python", b"hunter2")
channel.basic_qos(prefetch_count=7)
for received, (method, _, _) in enumerate(channel.consume("python"), 1):
    channel.basic_ack(method.delivery_tag)
    if received == 150:
        break
channel.cancel()
connection.close()
print("basic.publish 150\nbasic.deliver 150\nqueue.declare 1")
