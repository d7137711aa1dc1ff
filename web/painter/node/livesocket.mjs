/**
 * Live's connection to the server, with an id of its own: what its runs report goes to the pane alone. On the page's
 * connection each run would draw progress, pictures and errors on the graph's nodes, and grow them.
 */

/** @typedef {import("./schedule.mjs").After} After */

/**
 * @typedef {object} SocketListener
 * @property {(type: string, data: Record<string, any>) => void} onEvent
 * @property {(picture: Blob) => void} onPreview  of the sampler
 * @property {() => void} onReopen  after the server was gone
 * @property {() => void} onLost
 */

const RETRY_MS = 1000;
/** The first number of a binary message with a preview, and the second by its format. */
const PREVIEW = 1;
const FORMATS = ["", "image/jpeg", "image/png"];

export class LiveSocket {
  /**
   * @param {string} address
   * @param {SocketListener} listener
   * @param {{connect: (address: string) => WebSocket, after: After}} page
   */
  constructor(address, listener, { connect, after }) {
    this.address = address;
    this.listener = listener;
    this.connect = connect;
    this.after = after;
    this.isClosed = false;
    this.hasBeenOpen = false;
    this.stopRetry = () => {};
    /** Settles when the connection is open for the first time. @type {Promise<void>} */
    this.opened = new Promise((resolve) => (this.isOpen = resolve));
    this.#connect();
  }

  #connect() {
    const socket = this.connect(this.address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#onOpen();
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#onClose();
    this.socket = socket;
  }

  #onOpen() {
    const isAgain = this.hasBeenOpen;
    this.hasBeenOpen = true;
    this.isOpen?.();
    if (isAgain) this.listener.onReopen();
  }

  #onClose() {
    if (this.isClosed) return;
    this.listener.onLost();
    this.stopRetry = this.after(RETRY_MS, () => this.#connect());
  }

  /** @param {string | ArrayBuffer} message */
  #take(message) {
    if (typeof message === "string") {
      const { type, data } = JSON.parse(message);
      return this.listener.onEvent(type, data ?? {});
    }
    const head = new DataView(message);
    if (message.byteLength > 8 && head.getUint32(0) === PREVIEW) {
      this.listener.onPreview(new Blob([message.slice(8)], { type: FORMATS[head.getUint32(4)] ?? "" }));
    }
  }

  close() {
    this.isClosed = true;
    this.stopRetry();
    this.socket?.close();
  }
}
