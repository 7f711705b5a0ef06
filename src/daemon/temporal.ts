// Node 26 brings Temporal; on Node 24 the polyfill stands in. Imported before anything that tells time.

if (!("Temporal" in globalThis)) await import("temporal-polyfill/global");
