// Talking to the server: JSON requests that are tried again, and the live socket that is opened again.

const TRIES = 4;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class LoggedOut extends Error {}

async function request(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401) throw new LoggedOut();
  if (!answer.ok) throw Object.assign(new Error(`the server answered ${answer.status}`), { status: answer.status });
  return answer.json();
}

/** Reads; a failure that may pass is tried again a few times. */
export async function read(path) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request(path);
    } catch (error) {
      const final = error instanceof LoggedOut || (error.status >= 400 && error.status < 500);
      if (final || attempt === TRIES) throw error;
      await wait(150 * 2 ** attempt);
    }
  }
}

/** Sends once: what was sent may have arrived even if the answer is a failure. */
export const send = (path, body) =>
  request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** The live socket: `hear` gets every document, `again` is called whenever news may have been missed. */
export class Live {
  constructor(hear, again) {
    this.hear = hear;
    this.again = again;
    this.losses = 0;
    this.ended = false;
    this.opened = new Promise((done) => { this.open(done); });
  }

  open(done) {
    const socket = (this.socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/ws`));
    socket.onopen = () => {
      if (this.losses > 0) this.again();
      this.losses = 0;
      done?.();
    };
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = async () => {
      done?.();
      if (this.ended) return;
      this.losses += 1;
      await wait(Math.min(5000, 200 * 2 ** this.losses));
      if (this.ended) return;
      // A socket that is refused says nothing of why; a request does, and it ends the session in the page if need be.
      if (this.losses > 1) await this.again();
      if (!this.ended) this.open();
    };
  }

  say(document) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(document));
  }

  close() {
    this.ended = true;
    this.socket.close();
  }
}
