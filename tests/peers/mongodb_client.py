"""mongodb_client.py PORT COMPRESSORS [FILE]: walks through what clients ask of MongoDB.

Prints each command as the driver's own monitoring tells of it: name, target, status and outcome,
separated by tabs. With FILE it asks once, creates FILE.ready, goes on when FILE is there, and
prints what came since.
"""

import os
import sys
import time

import pymongo
from pymongo import InsertOne, UpdateOne, monitoring
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

SECRET = "canary7f3a"


class Commands(monitoring.CommandListener):
    def __init__(self):
        self.lines = []

    def started(self, event):
        command = event.command
        of = command.get("collection") if event.command_name == "getMore" else command[event.command_name]
        self.target = f"{event.database_name}.{of}" if isinstance(of, str) else event.database_name
        self.is_one_way = command.get("writeConcern", {}).get("w") == 0

    def succeeded(self, event):
        errors = event.reply.get("writeErrors")
        self.tell(event, errors[0]["code"] if errors else "ok")

    def failed(self, event):
        self.tell(event, event.failure["code"])

    def tell(self, event, status):
        status, outcome = ("", "one_way") if self.is_one_way else (status, "complete")
        self.lines.append(f"{event.command_name}\t{self.target}\t{status}\t{outcome}")


def fails(error, act):
    try:
        act()
    except error:
        return
    raise AssertionError("went well")


port, compressors = int(sys.argv[1]), sys.argv[2]
commands = Commands()
options = {"directConnection": True, "maxPoolSize": 1, "event_listeners": [commands]}
if compressors:
    options["compressors"] = compressors
client = pymongo.MongoClient("127.0.0.1", port, **options)
shop = client.shop
orders = shop.orders

if len(sys.argv) > 3:
    client.admin.command("ping")
    commands.lines.clear()
    open(sys.argv[3] + ".ready", "w").close()
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.01)

client.admin.command("ping")
orders.drop()
for number in range(50):
    orders.insert_one({"_id": number, "name": SECRET * number})
    assert orders.find_one({"_id": number})["name"] == SECRET * number
fails(DuplicateKeyError, lambda: orders.insert_one({"_id": 7, "name": SECRET}))
fails(OperationFailure, lambda: shop.command("noSuchCommand", 1, name=SECRET))
fails(OperationFailure, lambda: list(orders.aggregate([{"$noSuchStage": SECRET}])))
fails(BulkWriteError, lambda: orders.bulk_write(
    [InsertOne({"_id": 1}), UpdateOne({"_id": 2}, {"$set": {"name": SECRET}}), InsertOne({"_id": 3})],
    ordered=False))
orders.update_many({"_id": {"$lt": 10}}, {"$set": {"name": SECRET}})
orders.delete_many({"_id": {"$gte": 40}})
orders.find_one_and_update({"_id": 1}, {"$set": {"name": SECRET}})
assert orders.count_documents({}) == 40
assert len(list(orders.aggregate([{"$match": {"_id": {"$in": list(range(2000))}}}]))) == 40
orders.distinct("name")
orders.create_index("name")
# Each of these is many times what is copied of it.
orders.insert_many([{"large": SECRET * 100} for _ in range(1000)])
assert len(list(orders.find({"large": {"$exists": True}}, batch_size=300))) == 1000
orders.insert_one({"large": SECRET * 100_000})
cursor = orders.find({}, batch_size=2)
next(cursor)
cursor.close()
shop.list_collection_names()
# On a connection of their own: some servers answer all the same.
unheard = pymongo.MongoClient("127.0.0.1", port, w=0, **options)
for number in range(20):
    unheard.shop.orders.insert_one({"name": SECRET})
unheard.close()
client.admin.command("ping")
client.drop_database("shop")
client.close()
print("\n".join(commands.lines))
