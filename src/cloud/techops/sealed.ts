// A value that shows itself to nobody by accident: printed, inspected, joined into a text or turned into JSON
// it is "[secret]". Only open() gives it, so that every place that does is found by that word.

import { inspect } from "node:util";

const SHOWN = "[secret]";

export class Sealed<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  open(): T {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
