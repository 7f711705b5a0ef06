// What ComfyUI's NIM node does: one POST on a connection of its own, with exactly these headers and this
// body, and a reply whose reason phrase is all that an artist will ever see of an error.

import { request } from "node:http";

/** The node's keys, in its order. */
export const COMFYUI_BODY = JSON.stringify({
  width: 1024,
  height: 768,
  text_prompts: [{ text: "a lighthouse at dusk" }],
  mode: "base",
  cfg_scale: 3.5,
  seed: 7,
  steps: 4,
})
  .replaceAll('":', '": ')
  .replaceAll(',"', ', "');

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  readonly request: string;
  readonly upstream: string;
  readonly retry: string;
}

/** Asks for one image at a gateway's address. */
export type Artist = (gateway: string) => Promise<Answer>;

export function artistAsks(gateway: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      "User-Agent": "python-requests/2.34.2",
      "Accept-Encoding": "gzip, deflate",
      Accept: "*/*",
      Connection: "keep-alive",
      "Content-Length": Buffer.byteLength(COMFYUI_BODY),
      "Content-Type": "application/json",
      "X-BudgetGuard-User": "alice",
    };
    const asked = request(`${gateway}/v1/infer`, { method: "POST", headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      const header = (name: string) => String(response.headers[name] ?? "");
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? "",
          body: Buffer.concat(chunks).toString("utf8"),
          request: header("x-budgetguard-request"),
          upstream: header("x-budgetguard-upstream"),
          retry: header("x-should-retry"),
        }),
      );
    });
    asked.on("error", reject);
    asked.end(COMFYUI_BODY);
  });
}
