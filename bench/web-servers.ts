// nginx and haproxy as peers: one worker, keep-alive on both sides, nothing logged, nothing written to files.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { type PartName, realPart } from "../test/support/real.ts";
import { type Place, type Started, startPeer } from "./peer.ts";

export function startNginx(place: Place): Promise<Started> {
  return startServer("nginx", place, NGINX, (path, config) => [path, "-c", config, "-e", "stderr"]);
}

export function startHaproxy(place: Place): Promise<Started> {
  return startServer("haproxy", place, HAPROXY, (path, config) => [path, "-db", "-f", config]);
}

async function startServer(
  name: PartName,
  place: Place,
  config: (folder: string, upstream: string, port: number) => string,
  command: (path: string, config: string) => readonly string[],
): Promise<Started> {
  const part = await realPart(name);
  if (part.kind === "missing") return part;
  const port = await freePort();
  const file = join(place.folder, `${name}.conf`);
  writeFileSync(file, config(place.folder, `127.0.0.1:${place.upstreamPort}`, port));
  return startPeer(place.under, { command: command(part.path, file), port });
}

/** Replies are buffered as by default, but never in files; events are not, because the upstream says so. */
const NGINX = (folder: string, upstream: string, port: number) => `daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${folder}/nginx.pid;
events { worker_connections 16000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 0;
  proxy_buffers 8 64k;
  proxy_max_temp_file_size 0;
  proxy_request_buffering off;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  upstream up { server ${upstream}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`;

/** `http-no-delay`, because without it events wait for the next one: 80 ms instead of one. */
const HAPROXY = (_folder: string, upstream: string, port: number) => `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
listen bench
  bind 127.0.0.1:${port} backlog 4096
  server up ${upstream}
`;
