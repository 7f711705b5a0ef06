// What comes of waiting for a container to start: said by whoever starts it (cloud/), heard by whoever has a
// request that waits for it (proxy/).

export type Woken =
  /** It serves; `url`: where, as it is now. */
  | { readonly kind: "ready"; readonly url: string }
  /** A sentence that says what to do, going on from "its container". */
  | { readonly kind: "failed"; readonly why: string };
