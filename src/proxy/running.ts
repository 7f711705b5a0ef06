// The requests that run or wait, so that one of them can be cancelled by its id: ComfyUI's interrupt never
// closes the node's socket. As many as there are connections; it knows nothing else about them.

import { SpendingCut } from "./interruption.ts";

export class Running {
  readonly #controls = new Map<string, AbortController>();
  #entered = 0;

  get size(): number {
    return this.#controls.size;
  }

  /** All that ever ran or waited. */
  get entered(): number {
    return this.#entered;
  }

  /** `signal` ends the request; `leave` must be called when it is over. */
  enter(id: string): { readonly signal: AbortSignal; leave(): void } {
    const control = new AbortController();
    this.#entered += 1;
    this.#controls.set(id, control);
    return { signal: control.signal, leave: () => void this.#controls.delete(id) };
  }

  /** False where no such request runs. `reason` goes on from "cancelled"; "cut" is a budget's word alone. */
  cancel(id: string, reason: string): boolean {
    const control = this.#controls.get(id);
    control?.abort(reason === "cut" ? "by a cut" : reason);
    return control !== undefined;
  }

  /** The same because all spending was stopped by somebody: settled as cut. */
  cut(id: string, by: string): boolean {
    const control = this.#controls.get(id);
    control?.abort(new SpendingCut(by));
    return control !== undefined;
  }

  /** At shutdown, once the time to end by themselves is over. */
  cancelAll(reason: string): void {
    for (const id of [...this.#controls.keys()]) this.cancel(id, reason);
  }
}
