// The addresses that clients come in at, as people write them: the two halves of localhost are one.

export interface ListenerShown {
  readonly address: string;
  readonly model: string | null | undefined;
  readonly scheme: "http" | "https";
}

/** http is what one expects of a gateway on this machine; anything else is said. */
export function shownAddress({ address, scheme }: ListenerShown): string {
  return scheme === "http" ? address : `https://${address}`;
}

export function withLocalhost<T extends ListenerShown>(listeners: readonly T[]): readonly T[] {
  const all = new Set(listeners.map(({ address }) => address));
  return listeners.flatMap((listener) => {
    const [, host, port] = /^(127\.0\.0\.1|\[::1\]):(\d+)$/.exec(listener.address) ?? [];
    const isPair = all.has(`127.0.0.1:${port}`) && all.has(`[::1]:${port}`);
    if (port === undefined || !isPair) return [listener];
    return host === "127.0.0.1" ? [{ ...listener, address: `localhost:${port}` }] : [];
  });
}
