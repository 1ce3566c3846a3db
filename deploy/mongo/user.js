// Run once, by the image, on an empty data directory: the user that chatferry logs in as, with rights on
// its own database and no other.
const password = require("fs").readFileSync("/run/secrets/mongodb_password", "utf8").trim();
db.getSiblingDB("chatferry").createUser({
  user: "chatferry",
  pwd: password,
  roles: [{ role: "dbOwner", db: "chatferry" }],
});
