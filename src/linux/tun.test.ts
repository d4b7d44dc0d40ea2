import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LinuxProgramTypeName } from '../abi/program-types.ts';
import { assemble } from '../isa/assembler.ts';
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { packet } from '../net/packet.ts';
import { udp } from '../net/udp.ts';
import { bpfRefusal } from './features.ts';
import { interfaceMtu, interfaceNames, setInterfaceUp } from './netdev.ts';
import { NetworkNamespace } from './netns.ts';
import { PacketSocket } from './packet-socket.ts';
import { type KernelProgram, loadRaw } from './programs.ts';
import { openTunQueues, type TunOptions, TunQueue, tunFeatures, tunRefusal } from './tun.ts';

const missing = tunRefusal() ?? bpfRefusal();
const name = `slt${process.pid}`;
const QUEUES = 3;

/** A frame that tells its number by its source port. */
const frame = (number: number, length = 4) =>
  packet(
    ethernet(),
    ipv4({ src: '192.0.2.1', dst: '198.51.100.2' }),
    udp({ srcPort: number, dstPort: 9 }),
    new Uint8Array(length),
  );
const numberOf = (bytes: Uint8Array, header: number) => (bytes[header + 34]! << 8) | bytes[header + 35]!;

const program = (text: string, type: LinuxProgramTypeName = 'socket_filter') =>
  loadRaw(assemble(text, { syntax: 'llvm' }).insns, type);

const refused = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

it.skipIf(process.platform !== 'linux')('names are checked before anything is opened', () => {
  for (const bad of ['a-name-that-is-too-long', 'a b', 'a/b', 'a\0b'])
    expect(() => new TunQueue(bad)).toThrow(refused('SLUICE_TUN_NAME', /no name of an interface/));
  expect(() => openTunQueues('x', 0)).toThrow(refused('SLUICE_TUN_QUEUES', /1 to 256/));
  expect(() => new TunQueue('x', { offloads: ['csum'] })).toThrow(refused('SLUICE_TUN_HEADER', /vnetHeader/));
});

describe.skipIf(missing !== undefined)(`TAP devices${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let namespace: NetworkNamespace;
  const open = (options: TunOptions = {}, as = name) => namespace.run(() => new TunQueue(as, options));

  beforeAll(() => {
    namespace = new NetworkNamespace(`sluice-tun${process.pid}`);
  });
  afterAll(() => namespace?.remove());

  it('are made, named by the kernel where a pattern is given, and end with their last queue', () => {
    const queue = open({}, 'sl%d');
    expect(queue.name).toMatch(/^sl\d+$/);
    expect(namespace.run(() => interfaceNames())).toContain(queue.name);
    expect(namespace.run(() => interfaceMtu(queue.name))).toBe(1500);
    queue.close();
    queue.close();
    expect(namespace.run(() => interfaceNames())).not.toContain(queue.name);
  });

  it('stay where they are persistent', () => {
    const queue = open();
    queue.setPersistent(true);
    queue.close();
    expect(namespace.run(() => interfaceNames())).toContain(name);
    const again = open();
    again.setPersistent(false);
    again.close();
    expect(namespace.run(() => interfaceNames())).not.toContain(name);
  });

  it('say what to do where they cannot be opened', () => {
    const queue = open();
    expect(() => open()).toThrow(refused('SLUICE_TUN_BUSY', /multi_queue/));
    expect(() => open({ exclusive: true })).toThrow(refused('SLUICE_TUN_BUSY', /there already/));
    expect(() => open({ layer: 'tun' })).toThrow(refused('SLUICE_TUN_KIND', /cannot be opened as tun/));
    expect(() => open({}, 'lo')).toThrow(refused('SLUICE_TUN_KIND', /another kind/));
    queue.close();
    const many = namespace.run(() => openTunQueues(name, 256));
    expect(() => open({ multiQueue: true })).toThrow(refused('SLUICE_TUN_BUSY', /all of its 256/));
    for (const each of many) each.close();
  });

  it('features are what a device of this kernel takes', () => {
    const features = tunFeatures();
    expect(features.flags).toEqual(expect.arrayContaining(['TUN', 'TAP', 'NO_PI', 'VNET_HDR', 'MULTI_QUEUE']));
    expect(features.device).toMatchObject({ programs: true });
    expect(features.device?.vnetHeaders).toEqual(expect.arrayContaining([10, 12, 20]));
    expect(features.device?.offloads).toEqual(expect.arrayContaining(['csum', 'tso4', 'tso6']));
  });

  it('carry packets both ways, with a header that is zero where there is nothing to tell', async () => {
    const queue = open({ vnetHeader: 20 });
    namespace.quietUp(name);
    expect(namespace.run(() => setInterfaceUp(name))).toBe(false);
    expect(queue.vnetHeader).toBe(20);
    const socket = namespace.run(() => new PacketSocket(name));
    expect(queue.read(new Uint8Array(100))).toBeUndefined();
    socket.send(frame(7));
    expect(await queue.wait(1000)).toBe(true);
    const [packet] = [...queue.packets()];
    expect(packet!.subarray(0, 20)).toEqual(new Uint8Array(20));
    expect(packet!.subarray(20)).toEqual(frame(7));
    queue.write(Buffer.concat([new Uint8Array(20), frame(8)]));
    expect(await socket.wait(1000)).toBe(true);
    expect(socket.receive()).toEqual(frame(8));
    expect(() => queue.setVnetHeader(9 as 10)).toThrow(refused('SLUICE_TUN_HEADER', /headers of 9 bytes/));
    expect(() => queue.setOffloads(['tso4'])).toThrow(refused('SLUICE_TUN_OFFLOAD', /tso4/));
    socket.close();
    queue.close();
  });

  describe('with several queues', () => {
    let queues: TunQueue[];
    let socket: PacketSocket;

    beforeAll(() => {
      queues = namespace.run(() => openTunQueues(name, QUEUES, { vnetHeader: 20 }));
      namespace.quietUp(name);
      socket = namespace.run(() => new PacketSocket(name));
    });
    afterAll(() => {
      socket?.close();
      for (const queue of queues ?? []) queue.close();
    });

    /** Queue that each of the frames 1 to `count` came out of. A TAP has a packet when its sender's call returns. */
    function queuesOf(count: number): number[] {
      for (let i = 1; i <= count; i++) socket.send(frame(i));
      const chosen = new Array<number>(count).fill(-1);
      for (const [index, queue] of queues.entries())
        for (const each of queue.packets()) chosen[numberOf(each, 20) - 1] = index;
      return chosen;
    }

    it.each([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 0],
      [4, 1],
      [-1, 0],
      [65535, 0],
      [65536, 0],
      [65537, 1],
      [-2, 2],
      [0x7fff_ffff, 0],
    ])('a steering program that returns %i chooses queue %i: its low 16 bits modulo the queues', (value, queue) => {
      const loaded = program(`r0 = ${value}\nexit`);
      queues[0]!.setSteering(loaded);
      expect(queuesOf(2)).toEqual([queue, queue]);
      queues[0]!.setSteering(undefined);
      loaded.close();
    });

    it('a steering program sees the frame from its Ethernet header on', () => {
      // The source port, behind 14 bytes of Ethernet and 20 of IPv4.
      const loaded = program('r6 = r1\nr0 = *(u16 *)skb[34]\nexit');
      queues[1]!.setSteering(loaded);
      expect(queuesOf(6)).toEqual([1, 2, 0, 1, 2, 0]);
      queues[1]!.setSteering(undefined);
      loaded.close();
    });

    it('without a program packets of a flow keep together', () => {
      const first = queuesOf(40);
      expect(queuesOf(40)).toEqual(first);
      expect(new Set(first).size).toBe(QUEUES);
    });

    it('takes no program of another type', () => {
      const loaded: KernelProgram = program('r0 = 2\nexit', 'xdp');
      for (const set of ['setSteering', 'setFilter'] as const)
        expect(() => queues[0]![set](loaded)).toThrow(refused('SLUICE_TUN_PROGRAM', /socket_filter/));
      loaded.close();
    });

    it('a filter cuts packets to what it returns, and drops them for 0', () => {
      const loaded = program('r6 = r1\nr0 = *(u16 *)skb[34]\nexit');
      queues[0]!.setFilter(loaded);
      socket.send(frame(20));
      socket.send(frame(0));
      socket.send(frame(1000));
      queues[0]!.setFilter(undefined);
      loaded.close();
      const lengths = queues.flatMap((queue) => [...queue.packets()].map((each) => each.length - 20));
      expect(lengths.sort((a, b) => a - b)).toEqual([20, frame(1000).length]);
    });

    it('a queue that is detached gets nothing, and the others share', () => {
      const loaded = program('r6 = r1\nr0 = *(u16 *)skb[34]\nexit');
      queues[0]!.setSteering(loaded);
      queues[2]!.detach();
      expect(() => queues[2]!.detach()).toThrow(refused('SLUICE_TUN_QUEUE', /cannot be detached/));
      expect(queuesOf(4)).toEqual([1, 0, 1, 0]);
      queues[2]!.attach();
      expect(() => queues[2]!.attach()).toThrow(refused('SLUICE_TUN_QUEUE', /cannot be attached/));
      expect(queuesOf(4)).toEqual([1, 2, 0, 1]);
      queues[0]!.setSteering(undefined);
      loaded.close();
    });
  });
});
