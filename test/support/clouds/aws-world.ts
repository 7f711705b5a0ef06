// What AWS does, as far as the gateway meets it, on a clock that only the test moves: Auto Scaling groups that
// launch and terminate instances, and services of ECS whose tasks need one. It knows no wire.

export interface FakeInstance {
  readonly id: string;
  readonly group: string;
  readonly launched: number;
  readonly address: string;
  state: "pending" | "running" | "shutting-down" | "terminated";
  ended: number | undefined;
  /** EC2 does not say when it ended: what ended by itself, or for want of spot capacity. */
  isSilent?: boolean;
  /** EC2's list has not got it yet. */
  isUnlisted?: boolean;
}

export interface FakeGroup {
  readonly name: string;
  desired: number;
  min: number;
  max: number;
  /** Keys of its tags. */
  tags: string[];
  isProtected: boolean;
  /** There is no such machine to be had. */
  isSoldOut: boolean;
  /** Something that holds it at so many, and looks once in 30 s. */
  autoscaler: number | undefined;
}

export interface FakeTask {
  readonly arn: string;
  readonly service: string;
  readonly created: number;
  instance: string | undefined;
  placed: number | undefined;
  started: number | undefined;
  stopping: number | undefined;
  stopped: number | undefined;
  reason: string | undefined;
}

export interface FakeService {
  readonly name: string;
  readonly group: string;
  desired: number;
  changed: number;
  hostPort: number;
  events: { at: number; text: string }[];
  /** Why the next task ends before it runs. */
  fails: string | undefined;
  health: "HEALTHY" | "UNHEALTHY" | "UNKNOWN";
}

export interface AwsState {
  groups: FakeGroup[];
  instances: FakeInstance[];
  services: FakeService[];
  tasks: FakeTask[];
}

const AUTOSCALER_MS = 30_000;

export class AwsWorld {
  now: number;
  state: AwsState = { groups: [], instances: [], services: [], tasks: [] };
  #made = 0;
  #before: { readonly until: number; readonly state: AwsState } | undefined;
  /** In milliseconds. `cold`: until an instance takes tasks; `warm`: until a task runs whose image is there. */
  readonly delays = { cold: 180_000, warm: 60_000, stop: 10_000, gone: 60_000 };
  /** "flux 1": of services and groups, as they were taken. */
  readonly orders: string[] = [];
  /** How long reads may still show what was so before a write. */
  lag = 0;
  /** What instances of the gateway's tests are reached at. */
  address = (count: number) => `203.0.113.${count}`;

  constructor(now: number) {
    this.now = now;
  }

  /** With everything that happens meanwhile. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(until, this.now + 1000);
      this.#happen();
    }
  }

  /** As a read may see it. */
  get seen(): AwsState {
    return this.#before !== undefined && this.now < this.#before.until ? this.#before.state : this.state;
  }

  write(change: () => void): void {
    if (this.lag > 0) this.#before = { until: this.now + this.lag, state: structuredClone(this.state) };
    change();
    this.#happen();
  }

  group(name: string, over: Partial<FakeGroup> = {}): FakeGroup {
    const group: FakeGroup = {
      ...{ name, desired: 0, min: 0, max: 10, tags: [], isProtected: false, isSoldOut: false },
      ...{ autoscaler: undefined, ...over },
    };
    this.state.groups.push(group);
    this.#happen();
    return group;
  }

  service(name: string, group: string, over: Partial<FakeService> = {}): FakeService {
    const service: FakeService = {
      ...{ name, group, desired: 0, changed: this.now, hostPort: 8000, events: [], fails: undefined },
      ...({ health: "UNKNOWN", ...over } as const),
    };
    this.state.services.push(service);
    this.#happen();
    return service;
  }

  setService(name: string, desired: number): void {
    const service = this.state.services.find((one) => one.name === name);
    if (service === undefined) throw new Error(`no service ${name}`);
    this.orders.push(`${name} ${desired}`);
    this.write(() => Object.assign(service, { desired, changed: this.now }));
  }

  setGroup(name: string, desired: number): void {
    const group = this.state.groups.find((one) => one.name === name);
    if (group === undefined) throw new Error(`no group ${name}`);
    this.orders.push(`${name} ${desired}`);
    this.write(() => Object.assign(group, { desired }));
  }

  /** A task ends by itself while it serves. */
  kill(service: string, reason: string): void {
    for (const task of this.#alive(service)) Object.assign(task, { stopped: this.now, reason });
    this.#happen();
  }

  #alive(service: string): FakeTask[] {
    return this.state.tasks.filter((one) => one.service === service && one.stopped === undefined);
  }

  #happen(): void {
    for (const group of this.state.groups) this.#scale(group);
    for (const instance of this.state.instances) this.#age(instance);
    for (const task of this.state.tasks) this.#run(task);
    for (const service of this.state.services) this.#serve(service);
  }

  #scale(group: FakeGroup): void {
    if (group.autoscaler !== undefined && this.now % AUTOSCALER_MS < 1000) group.desired = group.autoscaler;
    const all = this.state.instances.filter((one) => one.group === group.name);
    const alive = all.filter(({ state }) => state === "pending" || state === "running");
    for (let count = alive.length; count < group.desired && !group.isSoldOut; count += 1) {
      this.#made += 1;
      const id = `i-0${String(this.#made).padStart(16, "a")}`;
      const about = { id, group: group.name, launched: this.now, address: this.address(this.#made) };
      this.state.instances.push({ ...about, state: "pending", ended: undefined });
    }
    if (group.isProtected) return;
    for (const one of alive.slice(0, Math.max(0, alive.length - group.desired)))
      Object.assign(one, { state: "shutting-down", ended: this.now });
  }

  #age(instance: FakeInstance): void {
    if (instance.state === "pending" && this.now >= instance.launched + this.delays.cold)
      instance.state = "running";
    if (instance.state === "shutting-down" && this.now >= (instance.ended ?? 0) + this.delays.gone)
      instance.state = "terminated";
  }

  #run(task: FakeTask): void {
    if (task.stopped !== undefined) return;
    const host = this.state.instances.find(({ id }) => id === task.instance);
    const service = this.state.services.find(({ name }) => name === task.service);
    if (host !== undefined && host.ended !== undefined)
      Object.assign(task, { stopped: this.now, reason: "Host EC2 (instance) terminated." });
    else if (task.stopping !== undefined && this.now >= task.stopping + this.delays.stop)
      task.stopped = this.now;
    else if (
      task.placed !== undefined &&
      task.started === undefined &&
      this.now >= task.placed + this.delays.warm / 2
    ) {
      if (service?.fails !== undefined) {
        Object.assign(task, { stopped: this.now, reason: service.fails });
        service.fails = undefined;
      } else if (this.now >= task.placed + this.delays.warm) task.started = this.now;
    }
  }

  #serve(service: FakeService): void {
    const alive = this.#alive(service.name);
    for (let count = alive.length; count < service.desired; count += 1) {
      const free = this.#freeInstance(service);
      if (free === undefined) {
        this.#tell(
          service,
          "was unable to place a task because no container instance met all of its requirements.",
        );
        break;
      }
      this.#made += 1;
      const arn = `arn:aws:ecs:us-east-1:111122223333:task/nim/${this.#made}`;
      const times = { placed: this.now, started: undefined, stopping: undefined, stopped: undefined };
      const task = { arn, service: service.name, created: this.now, instance: free.id, reason: undefined };
      this.state.tasks.push({ ...task, ...times });
      this.#tell(service, `has started 1 tasks: (task ${this.#made}).`);
    }
    for (const task of alive.slice(service.desired)) {
      if (task.stopping !== undefined) continue;
      Object.assign(task, {
        stopping: this.now,
        reason: "Scaling activity initiated by (deployment ecs-svc/1)",
      });
    }
  }

  /** One task of a service on each instance: they publish a port. */
  #freeInstance({ name, group }: FakeService): FakeInstance | undefined {
    return this.state.instances.find(
      (one) =>
        one.group === group &&
        one.state === "running" &&
        !this.#alive(name).some(({ instance }) => instance === one.id),
    );
  }

  #tell(service: FakeService, text: string): void {
    const message = `(service ${service.name}) ${text}`;
    if (service.events[0]?.text !== message) service.events.unshift({ at: this.now, text: message });
  }
}
