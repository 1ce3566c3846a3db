// Gives The Lounge its settings, one user and a past, before it is started:
//   node seed.mjs INSTALLED HOME WEB_PORT IRC_PORT < history.jsonl
// The past goes through The Lounge's own class for stored messages, because IRC knows none: what is said there is
// said now. A line is { conversation, author, own, text, sent_at }; conversations stand in the list in this order.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [installed, home, webPort, ircPort] = process.argv.slice(2);
const require = createRequire(join(installed, "package.json"));
const inside = (path) => require(join(installed, "node_modules/thelounge/dist/server", path)).default;
const NETWORK = "5b1f7c1e-3f50-4f0e-9a3c-0c6a11e5b0a7";
const USER = "alice";

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
// A conversation without a message stands in a line without text.
const conversations = [...new Set(lines.map((line) => line.conversation))];
for (const folder of ["users", "logs"]) mkdirSync(join(home, folder), { recursive: true, mode: 0o700 });

writeFileSync(join(home, "config.js"), `module.exports = ${JSON.stringify({
  public: false, host: "127.0.0.1", port: Number(webPort), maxHistory: 5000, prefetch: false, disableMediaPreview: true,
  messageStorage: ["sqlite"], fileUpload: { enable: false }, https: { enable: false }, ldap: { enable: false },
})};`);
writeFileSync(join(home, "users", `${USER}.json`), JSON.stringify({
  password: require("bcryptjs").hashSync(process.env.LOUNGE_PASSWORD, 4), log: true, sessions: {}, clientSettings: {},
  networks: [{
    uuid: NETWORK, name: "Sample", host: "127.0.0.1", port: Number(ircPort), tls: false, rejectUnauthorized: false,
    nick: USER, username: USER, realname: USER, commands: [], ignoreList: [],
    channels: conversations.map((name) => (name.startsWith("#") ? { name } : { name, type: "query" })),
  }],
}));

process.env.THELOUNGE_HOME = home;
inside("config.js").setHome(home);
const store = new (inside("plugins/messageStorage/sqlite.js"))(USER);
store.enable();
for (const { conversation, author, own, text, sent_at } of lines) {
  if (text === undefined) continue;
  store.index({ uuid: NETWORK }, { name: conversation }, {
    type: "message", from: { nick: author, mode: "" }, self: own, text, time: new Date(sent_at),
    hostmask: `${author}@127.0.0.1`, highlight: false, users: [],
  });
}
store.close();
