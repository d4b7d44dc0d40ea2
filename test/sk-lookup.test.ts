// bpf/sk_lookup_steer.bpf.c: modelled sockets here and real ones in the kernel, by test run; then attached, with connections over loopback.
import { createSocket as createDatagramSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type SteeringRule, steeringMaps } from '../bpf/control/steering.mjs';
import { generateInputs } from '../src/cli/inputs.ts';
import { createSocket, load, type UserObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachNetns } from '../src/linux/links.ts';
import { KernelProgram } from '../src/linux/programs.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { fillMaps, mapInputFromJson } from '../src/runtime/json-value.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const bytes = readFileSync(path('objects/sk_lookup_steer.bpf.o'));
const maps = (rules: readonly SteeringRule[]) =>
  mapInputFromJson(JSON.parse(JSON.stringify(steeringMaps(rules))), 'rules');
const example = JSON.parse(readFileSync(path('examples/steering.json'), 'utf8')) as SteeringRule[]; // as the file says
const refusal = bpfRefusal();

/** Descriptor of a socket of Node, which keeps it in a handle that is not documented. */
function descriptor(socket: object): number {
  const { _handle } = socket as { _handle: { fd: number } };
  return _handle.fd;
}

async function listen(host: string): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve));
  onTestFinished(() => {
    server.close();
  });
  return server;
}

/** The index of the socket that the run chose, by its cookie. */
function chosen(object: LoadedObject, context: Uint8Array | undefined): number | undefined {
  const cookie = new DataView(context!.buffer, context!.byteOffset).getBigUint64(0, true);
  if (cookie === 0n) return undefined;
  return [0, 1, 2, 3, 4].find((index) => object.maps['sockets']!.get(index) === cookie) ?? -1;
}

const sides = { jit: 'user', interpreter: 'user', linux: 'linux' } as const;

/** With five sockets: three TCP listeners of IPv4, a UDP socket of IPv4, a TCP listener of IPv6. */
async function openSide(engine: keyof typeof sides): Promise<LoadedObject> {
  let object: LoadedObject;
  if (engine === 'linux') {
    object = await load(bytes, { target: 'linux' });
    const datagrams = createDatagramSocket('udp4');
    await new Promise<void>((resolve) => datagrams.bind(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      datagrams.close();
    });
    const servers = [
      await listen('127.0.0.1'),
      await listen('127.0.0.1'),
      await listen('127.0.0.1'),
      datagrams,
      await listen('::1'),
    ];
    for (const [index, server] of servers.entries()) object.maps['sockets']!.set(index, BigInt(descriptor(server)));
  } else {
    const user: UserObject = await load(bytes, { engine });
    const listener = { protocol: 'tcp', state: 'listen' } as const;
    const all = [listener, listener, listener, { protocol: 'udp' }, { ...listener, family: 10 }] as const;
    for (const [index, options] of all.entries())
      user.maps['sockets']!.set(index, BigInt(createSocket(user.runtime, options).id));
    object = user;
  }
  onTestFinished(() => object.close());
  fillMaps(object, maps(example));
  return object;
}

it.skipIf(refusal !== undefined)(
  `4000 lookups choose the same sockets here and in the kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  async () => {
    const objects = await Promise.all((Object.keys(sides) as (keyof typeof sides)[]).map(openSide));
    const seen = new Map<string, number>();
    for (const input of generateInputs('sk_lookup', 5, 4000)) {
      const [first, ...others] = objects.map((object) => {
        const { returnValue, context } = object.programs['sk_lookup_steer']!.run(input);
        return { returnValue, socket: chosen(object, context) };
      });
      for (const other of others) expect(other).toEqual(first);
      const name = `${first!.returnValue} ${first!.socket ?? '-'}`;
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    // Each socket, the refusal, and what no rule is for.
    expect([...seen.keys()].sort()).toEqual(['0 -', '1 -', '1 0', '1 1', '1 2', '1 3', '1 4']);
    for (const outcome of [0, 1, 2]) {
      const sums = objects.map(
        (object) => (object.maps['counters']!.get(outcome) as readonly bigint[]).reduce((a, b) => a + b, 0n), // a __u64 a CPU
      );
      expect(sums[0]).toBeGreaterThan(0n);
      expect(sums).toEqual(sums.map(() => sums[0]));
    }
  },
);

describe.each(['jit', 'interpreter'] as const)('bpf_sk_assign: %s', (engine) => {
  it('takes no socket that does not fit', async () => {
    const object = await load(bytes, { engine });
    onTestFinished(() => object.close());
    fillMaps(object, maps([{ prefix: '192.0.2.0/24', protocol: 'tcp', ports: '80', socket: 0 }]));
    const context = new Uint8Array(72);
    const view = new DataView(context.buffer);
    view.setUint32(8, 2, true);
    view.setUint32(12, 6, true);
    context.set([192, 0, 2, 7], 40);
    view.setUint32(60, 80, true);
    const outcome = (options: Parameters<typeof createSocket>[1]) => {
      object.maps['sockets']!.set(0, BigInt(createSocket(object.runtime, options).id));
      const run = object.programs['sk_lookup_steer']!.run({ context });
      expect(run.returnValue).toBe(1);
      return chosen(object, run.context);
    };
    expect(outcome({ protocol: 'tcp', state: 'listen' })).toBe(0);
    expect(outcome({ protocol: 'tcp', state: 'listen', family: 10 })).toBe(0);
    expect(outcome({ protocol: 'tcp', state: 'established' })).toBeUndefined();
    expect(outcome({ protocol: 'udp' })).toBeUndefined();
    expect(() => outcome({ protocol: 'tcp', state: 'listen', reuseport: true })).toThrow('SO_REUSEPORT');
    view.setUint16(8, 10, true);
    expect(object.programs['sk_lookup_steer']!.run({ context }).context!.slice(0, 8)).toEqual(new Uint8Array(8));
  });
});

describe.skipIf(refusal !== undefined)(`attached${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, () => {
  it('one listener takes connections to a range of ports of a whole prefix', async () => {
    const server = await listen('127.0.0.1');
    const ports: number[] = [];
    server.on('connection', (socket) => {
      ports.push(socket.localPort!);
      socket.end(`${socket.localAddress}:${socket.localPort}`);
    });
    // A prefix and ports of our own: lookups of others in this namespace meet the program too.
    const prefix = `127.${100 + (process.pid & 63)}.7.0/24`;
    const host = prefix.replace(/0\/24$/, '9');
    const object = await load(bytes, { target: 'linux' });
    onTestFinished(() => object.close());
    const rules = [
      { prefix, protocol: 'tcp', ports: '7000-7009', socket: 0 },
      { prefix, protocol: 'tcp', ports: '7010', refuse: true },
      { prefix, protocol: 'tcp', ports: '7011', socket: 9 },
    ] as const;
    fillMaps(object, maps(rules));
    object.maps['sockets']!.set(0, BigInt(descriptor(server)));
    const program = object.programs['sk_lookup_steer']!;
    if (!(program instanceof KernelProgram)) throw new Error('not in the kernel');
    const talk = (port: number) =>
      new Promise<string>((resolve) => {
        const socket = connect({ host, port });
        socket.on('data', (data) => resolve(String(data)));
        socket.on('error', (error) => resolve(String('code' in error ? error.code : error)));
      });
    const tried = [7000, 7009, 7010, 7011, 7012];
    expect(await Promise.all(tried.map(talk))).toEqual(tried.map(() => 'ECONNREFUSED'));
    const link = attachNetns(program, 'sk_lookup');
    try {
      expect(link.info().type).toBe(5); // BPF_LINK_TYPE_NETNS
      expect(await Promise.all(tried.map(talk))).toEqual([
        `${host}:7000`,
        `${host}:7009`,
        'ECONNREFUSED',
        'ECONNREFUSED',
        'ECONNREFUSED',
      ]);
    } finally {
      link.close();
    }
    expect(await talk(7000)).toBe('ECONNREFUSED');
    const count = (outcome: number) =>
      (object.maps['counters']!.get(outcome) as readonly bigint[]).reduce((a, b) => a + b, 0n); // a __u64 a CPU
    expect([1, 2, 3].map(count)).toEqual([2n, 1n, 1n]);
  });

  it('a namespace that is not there is refused', async () => {
    const object = await load(bytes, { target: 'linux' });
    onTestFinished(() => object.close());
    const program = object.programs['sk_lookup_steer']!;
    if (!(program instanceof KernelProgram)) throw new Error('not in the kernel');
    expect(() => attachNetns(program, 'sk_lookup', '/run/netns/none-such')).toThrow(
      expect.objectContaining({ code: 'SLUICE_LINUX_NO_NETNS' }),
    );
    expect(() => attachNetns(program, 'sk_lookup', '/dev/null')).toThrow(
      expect.objectContaining({ code: 'SLUICE_LINUX_EINVAL' }),
    );
  });
});

it("the example's maps are what its rules give", () => {
  expect(JSON.parse(readFileSync(path('examples/steering.maps.json'), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(steeringMaps(example))),
  );
});
