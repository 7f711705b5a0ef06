// HTTP/1.1 as little of it as the bench needs, over bare sockets, so that neither the load nor the upstream is
// what is measured: messages with a Content-Length or chunked, one after the other on a connection. What it
// does not understand it throws at. It is no parser to put before strangers.

import { connect, type Socket } from "node:net";

export interface Message {
  /** The first line and the headers, as they came. */
  readonly head: string;
  /** Bytes of the body, without its framing. */
  readonly bytes: number;
}

export interface Listening {
  /** The body, piece by piece; a piece may be reused by Node once this returns. */
  piece?(piece: Buffer): void;
  message(message: Message): void;
}

//   head ──Content-Length──► body ──────────────────────► (message) head
//     └──chunked──► size ──► chunk ──► size … 0 ──► trailers ──► (message) head
type State = "head" | "body" | "size" | "chunk" | "trailers";

const NOTHING = Buffer.alloc(0);
const MOST_HEAD_BYTES = 65_536;

export class MessageReader {
  readonly #to: Listening;
  readonly #isReply: boolean;
  #state: State = "head";
  #kept: Buffer = NOTHING;
  #head = "";
  #left = 0;
  #bytes = 0;

  constructor(of: "requests" | "replies", to: Listening) {
    this.#isReply = of === "replies";
    this.#to = to;
  }

  push(chunk: Buffer): void {
    let rest = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = NOTHING;
    while (rest.length > 0) {
      const used = this.#read(rest);
      if (used === 0) {
        if (rest.length > MOST_HEAD_BYTES) throw new Error("a head or a chunk's size has no end");
        this.#kept = rest;
        return;
      }
      rest = rest.subarray(used);
    }
  }

  /** How many bytes were taken; 0 where more must come first. */
  #read(data: Buffer): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(data);
      case "body":
      case "chunk":
        return this.#readBody(data);
      case "size":
      case "trailers":
        return this.#readLine(data);
    }
  }

  #readHead(data: Buffer): number {
    const end = data.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    this.#head = data.toString("latin1", 0, end);
    this.#bytes = 0;
    if (this.#isReply && this.#head.startsWith("HTTP/1.1 1")) return end + 4;
    const length = /\r\ncontent-length:[ \t]*(\d+)/i.exec(this.#head)?.[1];
    const isChunked = length === undefined && /\r\ntransfer-encoding:[ \t]*chunked/i.test(this.#head);
    if (length === undefined && !isChunked && this.#isReply) {
      throw new Error(`a reply without Content-Length that is not chunked: ${this.#head}`);
    }
    this.#left = Number(length ?? 0);
    this.#state = isChunked ? "size" : "body";
    if (!isChunked && this.#left === 0) this.#end();
    return end + 4;
  }

  #readBody(data: Buffer): number {
    const isChunk = this.#state === "chunk";
    const used = Math.min(data.length, this.#left);
    // Two of a chunk's bytes are its line end, which is no body.
    const body = Math.max(0, Math.min(used, isChunk ? this.#left - 2 : this.#left));
    if (body > 0) this.#to.piece?.(data.subarray(0, body));
    this.#bytes += body;
    this.#left -= used;
    if (this.#left > 0) return used;
    if (isChunk) this.#state = "size";
    else this.#end();
    return used;
  }

  #readLine(data: Buffer): number {
    const end = data.indexOf("\r\n");
    if (end < 0) return 0;
    if (this.#state === "trailers") {
      if (end === 0) this.#end();
      return end + 2;
    }
    const size = Number.parseInt(data.toString("latin1", 0, end), 16);
    if (!(size >= 0)) throw new Error("a chunk without a size");
    this.#left = size + 2;
    this.#state = size === 0 ? "trailers" : "chunk";
    return end + 2;
  }

  #end(): void {
    this.#state = "head";
    this.#to.message({ head: this.#head, bytes: this.#bytes });
  }
}

/** One keep-alive connection, on which one request at a time is asked. */
export class Connection {
  readonly #socket: Socket;
  readonly #reader: MessageReader;
  #waiting: PromiseWithResolvers<Message> | undefined;
  #piece: ((piece: Buffer) => void) | undefined;
  #fault: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new MessageReader("replies", {
      piece: (piece) => this.#piece?.(piece),
      message: (message) => {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting === undefined) this.#fail(new Error("a reply that nobody asked for"));
        else waiting.resolve(message);
      },
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  static async open(port: number): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect(port, "127.0.0.1", resolve);
    socket.once("error", reject);
    await promise;
    socket.off("error", reject);
    return new Connection(socket);
  }

  /** Whether it can be asked no more. */
  get isOver(): boolean {
    return this.#fault !== undefined;
  }

  ask(request: Buffer, piece?: (piece: Buffer) => void): Promise<Message> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    this.#piece = piece;
    this.#waiting = Promise.withResolvers();
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#waiting?.reject(this.#fault);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}
