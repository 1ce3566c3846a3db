// The application: who is logged in, which conversation the address names, and what to do when the session ends.

import { avatar, el } from "./dom.js";
import { LAYOUTS } from "./layouts.js";
import { List } from "./list.js";
import { LoggedOut, Live, read } from "./server.js";
import { Thread } from "./thread.js";

const loading = document.querySelector(".app-loading");
const app = document.getElementById("app");
const parts = {};

/** The session has ended: the login form takes the place of the application, in the same page. */
function logOut() {
  parts.live?.close();
  if (!app.isConnected) return;
  const form = document.getElementById("login-again").content.cloneNode(true);
  form.querySelector("form").action = `/login${location.hash}`;
  form.querySelector(".ui-card-lead").after(el("p.login-note", { role: "status" }, "Your session has ended. Please log in again."));
  document.body.className = "ui-gate";
  document.body.replaceChildren(form);
  document.title = "Log in · Parley";
}

function fail(error) {
  if (error instanceof LoggedOut) return logOut();
  const note = el("div.app-error.ui-toast", { role: "alert" }, "The server did not answer as expected.");
  document.querySelector(".app-error")?.remove();
  document.body.append(note);
  setTimeout(() => note.remove(), 6000);
}

function note(title, ...lines) {
  return el("div.ui-thread-note", {}, el("img", { src: "/static/logo.svg", alt: "", width: "56", height: "56" }),
    el("strong", {}, title), ...lines.map((line) => el("span", {}, line)));
}

function route() {
  const { list, thread, live } = parts;
  const [, kind, id] = location.hash.split("/");
  if (kind === "c" && id) {
    const wanted = decodeURIComponent(id);
    list.select(wanted);
    if (thread.id !== wanted) thread.open(wanted);
  } else if (kind === "news") {
    list.select("news");
    thread.close(note("Site news", "Unread badges are now counted per conversation.", "Long letters open without a second click."));
  } else {
    list.select(null);
    thread.close(note("Your messages", "Choose a conversation on the left to read it."));
  }
}

function hear({ type, conversation, message }) {
  if (type === "presence") return;
  parts.list.update(conversation);
  parts.thread.hear(conversation, message, type === "edit");
}

async function again() {
  try {
    await parts.list.refresh();
    await parts.thread.refresh();
  } catch (error) {
    fail(error);
  }
}

async function start() {
  const me = await read("/api/me");
  const names = LAYOUTS[me.page.layout];
  document.body.dataset.design = me.page.layout;
  const list = new List(names, me.page.list_size, fail);
  const thread = new Thread(names, me.page, fail, (conversation) => parts.live.say({ type: "read", conversation }));
  Object.assign(parts, { list, thread });
  parts.live = new Live(hear, again);
  await parts.live.opened;
  await list.load();
  app.append(
    el("aside.ui-side", {},
      el("header.ui-side-head", {},
        el("img", { src: "/static/logo.svg", alt: "", width: "32", height: "32" }), el("strong", {}, "Parley"),
        el("span.ui-me", {}, avatar(me.name, { size: "small" }), me.name),
        el("form", { method: "post", action: "/logout" }, el("button.ui-quiet", { type: "submit" }, "Log out"))),
      list.box),
    thread.root);
  loading.hidden = true;
  window.addEventListener("hashchange", route);
  route();
  list.fill();
}

start().catch((error) => {
  fail(error);
  if (!(error instanceof LoggedOut)) loading.replaceChildren(el("span.app-failed", {}, "Parley could not be loaded. Please try again later."));
});
