// The price list, and the word to fetch live prices now.

import { setTimeout as pause } from "node:timers/promises";
import { createRoute } from "@hono/zod-openapi";
import { formatUsd } from "../metering/money.ts";
import { formatInstant } from "../metering/time.ts";
import * as sdk from "../sdk/prices.ts";
import type { PriceBook, PriceRow, PriceSourceState } from "./price-book.ts";
import { refuse } from "./problem.ts";
import {
  type Api,
  body,
  mayNeedToken,
  needsToken,
  ok,
  problems,
  type Room,
  reads,
  takesBody,
} from "./route.ts";
import { instantOrNull } from "./wire.ts";

/** A caller waits no longer; what takes longer goes on, and the list shows it. */
const LONGEST_WAIT_MS = 6000;
const MOST_SUSPECTS = 100;

export function addPriceRoutes(api: Api, { house, safety }: Room): void {
  const list = createRoute({
    method: "get",
    path: "/api/v1/prices",
    operationId: "listPrices",
    tags: ["prices"],
    security: mayNeedToken,
    summary: "The price list, each row with its source, its age and whether a second source agrees",
    middleware: reads(safety, "everybody"),
    request: { query: sdk.PricesQuery },
    responses: { 200: ok(sdk.PricePage, "One page of it, by key."), ...problems },
  });
  api.openapi(list, (c) => {
    const { limit, after, provider } = c.req.valid("query");
    const book = house.prices();
    const rows = book.rows.filter(
      ({ rate }) => (provider ?? rate.provider) === rate.provider && (after ?? "") < cursorOf(rate),
    );
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    const next = rows.length > shown.length && last !== undefined ? cursorOf(last.rate) : null;
    const licence = formatUsd(book.licencePerGpuHour);
    const page = { items: shown.map(rowWire), next, licence_usd_per_gpu_hour: licence };
    return c.json({ ...page, ...sourcesWire(book) }, 200);
  });

  const update = createRoute({
    method: "post",
    path: "/api/v1/prices/update",
    operationId: "updatePrices",
    tags: ["prices"],
    summary: "Fetch live prices now",
    security: needsToken,
    middleware: takesBody(safety, "operate", "everybody"),
    request: body(sdk.PricesUpdate),
    responses: {
      200: ok(sdk.PriceSources, "How each source stands; one may still be fetched."),
      ...problems,
    },
  });
  api.openapi(update, async (c) => {
    const { sources } = c.req.valid("json");
    const known = house.prices().sources.map(({ name }) => name);
    const stranger = sources?.find((name) => !known.includes(name));
    if (known.length === 0 || stranger !== undefined) {
      const what = stranger === undefined ? "no source of live prices" : `${stranger} not`;
      const detail = `the policy names ${what}: write it in prices.sources`;
      return refuse(c, 409, { code: "conflict", detail });
    }
    const waited = new AbortController();
    const { signal } = waited;
    const tooLong = pause(LONGEST_WAIT_MS, undefined, { signal, ref: false }).catch(() => undefined);
    await Promise.race([house.updatePrices(sources), tooLong]);
    waited.abort();
    return c.json(sourcesWire(house.prices()), 200);
  });
}

function cursorOf({ key, kind }: PriceRow["rate"]): string {
  return `${key} ${kind}`;
}

function rowWire({ rate, verified, age, isStale, upstreams }: PriceRow): sdk.PriceRow {
  return {
    rate: rate.key,
    kind: rate.kind,
    provider: rate.provider,
    gpu: rate.gpu ?? null,
    gpus: rate.gpus,
    usd_per_hour: formatUsd(rate.perHour),
    live: rate.live === true,
    source: rate.source,
    as_of: rate.asOf,
    age_us: age ?? null,
    effective_from: rate.effective ?? null,
    verified: verified.kind === "verified",
    verified_by: verified.kind === "verified" ? `${verified.by}, ${verified.asOf}` : null,
    unverified_because: verified.kind === "verified" ? null : verified.why,
    stale: isStale,
    upstreams: [...upstreams],
  };
}

function sourcesWire({ sources, suspects }: PriceBook): sdk.PriceSources {
  return {
    sources: sources.map(sourceWire),
    suspects: suspects.slice(0, MOST_SUSPECTS).map(({ rate, before }) => ({
      ...{ rate: rate.key, kind: rate.kind, usd_per_hour: formatUsd(rate.perHour) },
      ...{ before_usd_per_hour: formatUsd(before), as_of: rate.asOf, source: rate.source },
    })),
    suspect_count: suspects.length,
  };
}

function sourceWire(source: PriceSourceState): sdk.PriceSource {
  const { name, isFetching, answeredAt, trouble, notes, nextAt } = source;
  return {
    ...{ name, fetching: isFetching, answered_at: instantOrNull(answeredAt), notes: [...notes] },
    trouble: trouble === undefined ? null : { at: formatInstant(trouble.at), why: trouble.why },
    next_at: instantOrNull(nextAt),
  };
}
