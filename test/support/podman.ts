// A real podman with a root of its own, its Docker-compatible socket, and one container made of a static
// busybox that answers as a NIM that is ready. No registry, nothing outside its folder.

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { freePort } from "./free-port.ts";
import { eventually } from "./gateway-client.ts";
import { run } from "./program.ts";

export interface Podman {
  readonly socket: string;
  readonly container: string;
  /** Where the container serves, once it is started. */
  readonly url: string;
  /** As somebody else would type it. */
  type(...args: readonly string[]): Promise<string>;
}

/** crun needs control groups that not every machine has; without limits of its own a container asks for too much. */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`;
const BUSYBOX = "/bin/busybox";
const NAME = "nim-test";

export async function startPodman(t: ExecutionContext, program: string): Promise<Podman> {
  const folder = mkdtempSync(join(tmpdir(), "bg-podman-"));
  const at = (...parts: string[]) => join(folder, ...parts);
  mkdirSync(at("home/.config/containers"), { recursive: true });
  mkdirSync(at("image/bin"), { recursive: true });
  mkdirSync(at("image/www/v1/health"), { recursive: true });
  mkdirSync(at("tmp"));
  copyFileSync(BUSYBOX, at("image/bin/busybox"));
  writeFileSync(at("image/www/v1/health/ready"), '{"status":"ready"}');
  writeFileSync(at("containers.conf"), CONTAINERS_CONF);
  const trusting = JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] });
  writeFileSync(at("home/.config/containers/policy.json"), trusting);

  const env = { ...process.env, HOME: at("home"), CONTAINERS_CONF: at("containers.conf"), TMPDIR: at("tmp") };
  const own = ["--root", at("root"), "--runroot", at("run"), "--storage-driver", "vfs"];
  const type = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await run(program, [...own, ...args], { env });
    if (code !== 0) throw new Error(`podman ${args[0]}: ${stderr}`);
    return stdout;
  };
  let service: ChildProcess | undefined;
  t.teardown(async () => {
    await type("rm", "--force", "--all", "--time", "0").catch(() => undefined);
    service?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  const port = await freePort();
  await run("tar", ["-C", at("image"), "-cf", at("image.tar"), "."]);
  await type("import", at("image.tar"), "nim:test");
  // The first process of a container is told of a signal only where it asks for it.
  const serve = `trap 'exit 0' TERM; ${BUSYBOX} httpd -f -p 127.0.0.1:${port} -h /www & wait`;
  await type("create", "--name", NAME, "--network", "host", "nim:test", BUSYBOX, "sh", "-c", serve);
  const socket = at("podman.sock");
  service = spawn(program, [...own, "system", "service", "--time", "0", `unix://${socket}`], {
    env,
    stdio: "ignore",
  });
  await eventually("podman listens", async () => (await run("test", ["-S", socket])).code === 0);
  return { socket, container: NAME, url: `http://127.0.0.1:${port}`, type };
}
