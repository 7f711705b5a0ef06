// http-proxy as a peer, with the keep-alive agent without which it opens a connection for each request.

import http from "node:http";
import proxies from "http-proxy";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });
const proxy = proxies.createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, agent });
proxy.on("error", (_error, _request, response) => response?.destroy());
const server = http.createServer((request, response) => proxy.web(request, response));
// Node's five seconds would end what the idle scene opens.
server.keepAliveTimeout = 300_000;
server.listen({ port, host: "127.0.0.1", backlog: 4096 });
