// The network between a program and a server, that a test can cut.

import { connect, createServer } from "node:net";

/** A way to this server: `url` goes through it, until it is cut or goes silent. */
export class Network {
  #listener;
  #pairs = new Set();
  #state = "open";

  static async to(url) {
    const network = new Network();
    const { hostname, port } = new URL(url);
    network.#listener = createServer((near) => {
      if (network.#state === "cut") return near.destroy();
      const far = connect(Number(port), hostname);
      const pair = [near, far];
      network.#pairs.add(pair);
      for (const [from, to] of [pair, [far, near]]) {
        from.on("data", (part) => network.#state === "open" && to.write(part));
        from.on("error", () => to.destroy());
        from.on("close", () => {
          to.destroy();
          network.#pairs.delete(pair);
        });
      }
    });
    await new Promise((done, failed) => network.#listener.once("error", failed).listen(0, "127.0.0.1", done));
    network.url = `http://127.0.0.1:${network.#listener.address().port}`;
    return network;
  }

  /** As when a cable is pulled: what is sent is lost, and neither side is told. */
  silence() {
    this.#state = "silent";
  }

  /** As when a router restarts: connections are reset, new ones are refused. */
  cut() {
    this.#state = "cut";
    this.#reset();
  }

  /** There again. What was under way is lost, and its connection with it, as a router forgets them. */
  mend() {
    this.#reset();
    this.#state = "open";
  }

  close() {
    this.#reset();
    this.#listener.close();
  }

  #reset() {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }
}
