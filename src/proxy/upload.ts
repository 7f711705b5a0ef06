// A body on its way to an upstream. Destroying it does not touch the client's socket, so that a reply can
// still be sent. It knows only whom to ask for more.

import { Readable } from "node:stream";

/** Who has the bytes. */
interface UploadSource {
  pull(upload: Upload): void;
  /** It was destroyed. */
  dropped(upload: Upload): void;
}

export class Upload extends Readable {
  readonly #source: UploadSource;

  constructor(source: UploadSource, highWaterMark: number) {
    super({ highWaterMark });
    this.#source = source;
    // Between two upstreams nobody reads it: a client that leaves then must not be an uncaught error.
    this.on("error", () => undefined);
  }

  override _read(): void {
    this.#source.pull(this);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.dropped(this);
    callback(error);
  }
}
