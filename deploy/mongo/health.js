// The health check: makes the one-node replica set if there is none, then asks whether this node takes
// writes. Exit 0 only if it does. The password stays out of argv.
const password = require("fs").readFileSync("/run/secrets/mongodb_root_password", "utf8").trim();
const admin = new Mongo(
  `mongodb://root:${password}@127.0.0.1:27017/admin?authSource=admin&directConnection=true&serverSelectionTimeoutMS=4000`,
).getDB("admin");
try {
  admin.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") {
    throw error;
  }
  admin.adminCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] } });
}
quit(admin.adminCommand({ hello: 1 }).isWritablePrimary ? 0 : 1);
