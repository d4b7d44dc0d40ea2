/** Sockets that programs look up: modelled ones here, real ones in the kernel; cookies for those that listen; maps that take them. */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSocket, load, type NetworkSocket, Runtime, type SocketOptions } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { parseIpv4, parseIpv6 } from '../src/net/addresses.ts';
import { writeObject } from '../src/object/write.ts';
import { fillMaps } from '../src/runtime/json-value.ts';
import { networkFromJson } from '../src/runtime/network-json.ts';

function object(text: string, section = 'xdp'): Uint8Array {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  return writeObject({ section, license: 'GPL', insns, functions });
}

const SK_LOOKUP_TCP = 84;
const SK_LOOKUP_UDP = 85;
const SKC_LOOKUP_TCP = 99;

/** Takes the tuple of `size` bytes from the packet; returns state << 16 | own port of what is found. */
const lookup = (helper: number, size: number) => `p:
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += ${size}
  if r4 > r3 goto none
${Array.from({ length: size / 4 }, (_, i) => `  w5 = *(u32 *)(r2 + ${4 * i})\n  *(u32 *)(r10 - ${size - 4 * i}) = r5`).join('\n')}
  r2 = r10
  r2 += -${size}
  r3 = ${size}
  r4 = -1
  r5 = 0
  call ${helper}
  if r0 == 0 goto none
  r6 = *(u32 *)(r0 + 72)
  r6 <<= 16
  r7 = *(u32 *)(r0 + 44)
  r6 |= r7
  r1 = r0
  call 86
  r0 = r6
  exit
none:
  r0 = 0
  exit`;

function tuple(from: string, fromPort: number, to: string, toPort: number): Uint8Array {
  const ip = from.includes(':') ? parseIpv6 : parseIpv4;
  const size = from.includes(':') ? 16 : 4;
  const bytes = new Uint8Array(64);
  bytes.set(ip(from), 0);
  bytes.set(ip(to), size);
  new DataView(bytes.buffer).setUint16(2 * size, fromPort);
  new DataView(bytes.buffer).setUint16(2 * size + 2, toPort);
  return bytes;
}

async function here(helper: number, sockets: readonly SocketOptions[], questions: readonly Uint8Array[], size = 12) {
  const runtime = new Runtime({ seed: 1n });
  const made = sockets.map((options) => createSocket(runtime, options));
  const answers = [];
  for (const engine of ['jit', 'interpreter'] as const) {
    const loaded = await load(object(lookup(helper, size)), { runtime, engine });
    answers.push(questions.map((data) => loaded.programs['p']!.run({ data }).returnValue));
    loaded.close();
  }
  for (const socket of made) socket.close();
  expect(answers[0]).toEqual(answers[1]);
  return answers[0]!;
}

const refusal = bpfRefusal();
const listening = (port: number) => (10 << 16) | port;
const established = (port: number) => (1 << 16) | port;

describe('sockets by address and port', () => {
  it.each(['jit', 'interpreter'] as const)('%s: are those of the network', async (engine) => {
    const sockets: readonly NetworkSocket[] = [
      { name: 'web', local: '10.0.0.1:80', cookie: 9 },
      { local: '10.0.0.1:80', remote: '10.0.0.2:4000' },
      { local: '[fd00::1]:80' },
      { local: ':53', protocol: 'udp' },
    ];
    const network = { interfaces: [], sockets };
    const ask = async (helper: number, size: number, ...questions: Uint8Array[]) => {
      const loaded = await load(object(lookup(helper, size)), { engine, network });
      onTestFinished(() => loaded.close());
      return questions.map((data) => loaded.programs['p']!.run({ data }).returnValue);
    };
    expect(
      await ask(
        SK_LOOKUP_TCP,
        12,
        tuple('10.0.0.3', 1, '10.0.0.1', 80),
        tuple('10.0.0.2', 4000, '10.0.0.1', 80),
        tuple('10.0.0.3', 1, '10.0.0.1', 81),
      ),
    ).toEqual([listening(80), established(80), 0]);
    expect(await ask(SK_LOOKUP_TCP, 36, tuple('fd00::2', 1, 'fd00::1', 80))).toEqual([listening(80)]);
    expect(await ask(SK_LOOKUP_UDP, 12, tuple('10.0.0.3', 1, '10.0.0.9', 53))).toEqual([(7 << 16) | 53]);
  });

  it('of a network go into maps by name', async () => {
    const bytes = readFileSync(new URL('../bpf/objects/sk_lookup_steer.bpf.o', import.meta.url));
    const network = { interfaces: [], sockets: [{ name: 'web', local: ':80', cookie: 77 }] };
    const loaded = await load(bytes, { network });
    onTestFinished(() => loaded.close());
    fillMaps(loaded, { sockets: [[2, 'web']] });
    expect(loaded.maps['sockets']!.get(2)).toBe(77n);
    expect(() => fillMaps(loaded, { sockets: [[1, 'mail']] })).toThrow(
      'no socket mail; the network in user space has web',
    );
  });

  it.each([
    [{ local: '10.0.0.1' }, 'an end is ADDRESS:PORT'],
    [{ local: '10.0.0.1:70000' }, 'a port is 0 to 65535'],
    [{ local: '10.0.0.1:1', remote: '[::1]:1' }, 'two families'],
    [{ name: 'a', cookie: 0 }, 'socket a: a cookie is a number from 1 up'],
    [{ state: 'open' }, 'state open is none of'],
    [{ protocol: 'sctp' }, 'protocol sctp is none of'],
  ])('%o is none', (socket, message) => {
    const network = networkFromJson({ interfaces: [], sockets: [socket] }, 'net.json');
    expect(() => new Runtime({ network })).toThrow(message);
  });

  it.skipIf(refusal !== undefined)(
    `are those that the kernel finds${refusal === undefined ? '' : ` (${refusal})`}`,
    async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const { port } = server.address() as { port: number }; // of a TCP server
      const accepted = new Promise((done) => server.once('connection', done));
      const client = connect(port, '127.0.0.1');
      onTestFinished(() => {
        client.destroy();
        server.close();
      });
      await accepted;
      const clientPort = client.localPort!;
      const questions = [
        tuple('127.0.0.1', clientPort, '127.0.0.1', port), // the connection, at the server
        tuple('127.0.0.1', port, '127.0.0.1', clientPort), // at the client
        tuple('127.0.0.1', clientPort === 1 ? 2 : 1, '127.0.0.1', port), // somebody else: the listener
        tuple('127.0.0.1', 1, '127.0.0.2', port), // which is bound to one address
        tuple('127.0.0.1', 1, '127.0.0.1', 1),
      ];
      const ends = { local: { address: '127.0.0.1', port }, remote: { address: '127.0.0.1', port: clientPort } };
      const sockets: readonly SocketOptions[] = [
        { state: 'listen', local: ends.local },
        { local: ends.local, remote: ends.remote },
        { local: ends.remote, remote: ends.local },
      ];
      for (const helper of [SK_LOOKUP_TCP, SKC_LOOKUP_TCP]) {
        const kernel = await load(object(lookup(helper, 12)), { target: 'linux' });
        const there = questions.map((data) => kernel.programs['p']!.run({ data }).returnValue);
        kernel.close();
        expect(there).toEqual([established(port), established(clientPort), listening(port), 0, 0]);
        expect(await here(helper, sockets, questions)).toEqual(there);
      }
    },
  );

  it('prefer the address to all addresses; protocols and families are apart', async () => {
    const all: SocketOptions = { state: 'listen', local: { port: 80 } };
    const one: SocketOptions = { state: 'listen', local: { address: '10.0.0.1', port: 80 } };
    const six: SocketOptions = { family: 10, state: 'listen', local: { port: 80 } };
    const udp: SocketOptions = { protocol: 'udp', local: { port: 80 } };
    const question = [tuple('10.0.0.9', 5, '10.0.0.1', 80), tuple('10.0.0.9', 5, '10.0.0.2', 80)];
    expect(await here(SK_LOOKUP_TCP, [all, six, udp], question)).toEqual([listening(80), listening(80)]);
    expect(await here(SK_LOOKUP_TCP, [one, six, udp], question)).toEqual([listening(80), 0]);
    expect(await here(SK_LOOKUP_UDP, [all, udp], question)).toEqual([(7 << 16) | 80, (7 << 16) | 80]);
    const sixth = [tuple('fd00::1', 5, 'fd00::2', 80)];
    expect(await here(SK_LOOKUP_TCP, [all, six], sixth, 36)).toEqual([listening(80)]);
    expect(await here(SK_LOOKUP_TCP, [all], sixth, 36)).toEqual([0]);
  });
});

describe('SYN cookies of a socket that listens', () => {
  /** An IPv4 header, a TCP header and a tuple; makes or checks a cookie for the socket of the tuple. */
  const cookie = (helper: number) => `p:
  r6 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r6
  r4 += 52
  if r4 > r3 goto none
${[0, 4, 8].map((at) => `  w5 = *(u32 *)(r6 + ${40 + at})\n  *(u32 *)(r10 - ${16 - at}) = r5`).join('\n')}
${[0, 8, 16, 24, 32].map((at) => `  r5 = *(u64 *)(r6 + ${at})\n  *(u64 *)(r10 - ${64 - at}) = r5`).join('\n')}
  r2 = r10
  r2 += -16
  r3 = 12
  r4 = -1
  r5 = 0
  call ${SK_LOOKUP_TCP}
  if r0 == 0 goto none
  r7 = r0
  r1 = r0
  r2 = r10
  r2 += -64
  r3 = 20
  r4 = r10
  r4 += -44
  r5 = 20
  call ${helper}
  r8 = r0
  r1 = r7
  call 86
  r0 = r8
  exit
none:
  r0 = 77
  exit`;

  function segment(flags: number, seq: number, acknowledged: number): Uint8Array {
    const bytes = new Uint8Array(64);
    const view = new DataView(bytes.buffer);
    bytes[0] = 0x45;
    bytes.set(parseIpv4('10.0.0.9'), 12);
    bytes.set(parseIpv4('10.0.0.1'), 16);
    view.setUint16(20, 5);
    view.setUint16(22, 80);
    view.setUint32(24, seq);
    view.setUint32(28, acknowledged);
    bytes[32] = 5 << 4;
    bytes[33] = flags;
    bytes.set(tuple('10.0.0.9', 5, '10.0.0.1', 80).subarray(0, 12), 40);
    return bytes;
  }

  it('are good for its acknowledgement, and for nothing else', async () => {
    const runtime = new Runtime({ seed: 7n, clock: { at: 60_000_000_000n } });
    const socket = createSocket(runtime, { state: 'listen', local: { port: 80 } });
    const made = await load(object(cookie(110)), { runtime });
    const checks = await load(object(cookie(100)), { runtime, engine: 'interpreter' });
    const make = (data: Uint8Array) => made.programs['p']!.run({ data }).r0!;
    const check = (data: Uint8Array) => BigInt.asIntN(64, checks.programs['p']!.run({ data }).r0!);
    const given = make(segment(2, 1000, 0));
    expect(given >> 32n).toBe(536n);
    const number = Number(given & 0xffff_ffffn);
    expect(check(segment(16, 1001, (number + 1) >>> 0))).toBe(0n);
    expect(check(segment(16, 1001, (number + 100) >>> 0))).toBe(-2n);
    expect(check(segment(18, 1001, (number + 1) >>> 0))).toBe(-2n);
    expect(BigInt.asIntN(64, make(segment(16, 1000, 0)))).toBe(-22n);
    socket.close();
    const connected = createSocket(runtime, {
      local: { address: '10.0.0.1', port: 80 },
      remote: { address: '10.0.0.9', port: 5 },
    });
    expect(BigInt.asIntN(64, make(segment(2, 1000, 0)))).toBe(-22n);
    connected.close();
    made.close();
    checks.close();
  });
});
