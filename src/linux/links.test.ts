import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LinuxProgramTypeName } from '../abi/program-types.ts';
import { assemble } from '../isa/assembler.ts';
import { attachedPrograms, createLink } from './bpf.ts';
import { createMap, MapElements } from './bpf-maps.ts';
import { bpfRefusal } from './features.ts';
import { close } from './ffi.ts';
import { attachTcx, attachXdp } from './links.ts';
import { interfaceIndex, interfaceName, interfaceNames } from './netdev.ts';
import { type KernelProgram, loadRaw } from './programs.ts';

const namespace = `sluice-${process.pid}`;
const here = `sla${process.pid}`;
const there = `slb${process.pid}`;
const PORT = 9797;

const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' });

/** Undefined if the namespace and its pair of interfaces stand now. */
function makePair(): string | undefined {
  const made = ip('netns', 'add', namespace);
  if (made.error !== undefined) return 'no iproute2';
  if (made.status !== 0) return `ip netns add: ${made.stderr.trim()}`;
  const pair = ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', namespace);
  if (pair.status === 0) return undefined;
  removePair();
  return `ip link add type veth: ${pair.stderr.trim()}`;
}

function removePair(): void {
  ip('link', 'del', here);
  ip('netns', 'del', namespace);
}

function obstacle(): string | undefined {
  const found = bpfRefusal() ?? makePair();
  if (found === undefined) removePair();
  return found;
}

describe('interfaces', () => {
  it.skipIf(process.platform !== 'linux')('are found by name and by index', () => {
    expect(interfaceNames()).toContain('lo');
    expect(interfaceName(interfaceIndex('lo'))).toBe('lo');
    expect(interfaceName(0x7fff_0000)).toBeUndefined();
    for (const name of ['no-such-dev', '', 'a-name-that-is-too-long'])
      expect(() => interfaceIndex(name)).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_NO_INTERFACE' }));
  });
});

const missing = obstacle();

describe.skipIf(missing !== undefined)(
  `links on a veth pair${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let receiver: Socket;
    let received = 0;
    let map: number;
    const programs: KernelProgram[] = [];

    /** Counts UDP datagrams to PORT in the map's element `slot`; gives `verdict` for them and `otherwise` for the rest. */
    function counter(type: LinuxProgramTypeName, slot: number, verdict: number, otherwise: number): KernelProgram {
      const [data, end] = type === 'xdp' ? [0, 4] : [76, 80];
      const text = `
      r2 = *(u32 *)(r1 + ${data})
      r3 = *(u32 *)(r1 + ${end})
      r0 = ${otherwise}
      r4 = r2
      r4 += 42
      if r4 > r3 goto out
      r5 = *(u16 *)(r2 + 12)
      if r5 != 8 goto out
      r5 = *(u8 *)(r2 + 23)
      if r5 != 17 goto out
      r5 = *(u16 *)(r2 + 36)
      if r5 != ${((PORT & 255) << 8) | (PORT >> 8)} goto out
      r6 = ${slot}
      *(u32 *)(r10 - 4) = r6
      r2 = r10
      r2 += -4
      r1 = 0 ll
      call 1
      r1 = r0
      r0 = ${verdict}
      if r1 == 0 goto out
      r2 = 1
      lock *(u64 *)(r1 + 0) += r2
      out:
      exit`;
      const insns = assemble(text, { syntax: 'llvm' }).insns.map((insn) =>
        insn.opcode === 0x18 ? { ...insn, src: 1, imm: map } : insn,
      );
      const program = loadRaw(insns, type, 'GPL', { name: `count${slot}` });
      programs.push(program);
      return program;
    }

    function count(slot: number): number {
      const elements = new MapElements(map, 4, 8);
      elements.key[0] = slot;
      expect(elements.lookup()).toBe(0);
      return elements.value[0]!;
    }

    /** Sends datagrams from the other namespace; returns how many arrived here. */
    async function send(datagrams: number): Promise<number> {
      const before = received;
      const script = `const s = require('node:dgram').createSocket('udp4'); let left = ${datagrams};
      for (let i = 0; i < ${datagrams}; i++) s.send('x', ${PORT}, '10.97.0.1', () => { if (--left === 0) s.close(); });`;
      execFileSync('ip', ['netns', 'exec', namespace, process.execPath, '-e', script]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return received - before;
    }

    beforeAll(async () => {
      expect(makePair()).toBeUndefined();
      execFileSync('ip', ['addr', 'add', '10.97.0.1/24', 'dev', here]);
      execFileSync('ip', ['link', 'set', here, 'up']);
      execFileSync('ip', ['-n', namespace, 'addr', 'add', '10.97.0.2/24', 'dev', there]);
      execFileSync('ip', ['-n', namespace, 'link', 'set', there, 'up']);
      map = createMap({ type: 'array', keySize: 4, valueSize: 8, maxEntries: 4 });
      receiver = createSocket('udp4').on('message', () => received++);
      await new Promise<void>((resolve) => receiver.bind(PORT, '10.97.0.1', resolve));
      await send(1); // the first waits for ARP
    });
    afterAll(() => {
      receiver?.close();
      for (const program of programs) program.close();
      if (map !== undefined) close(map);
      ip('link', 'del', here);
      ip('netns', 'del', namespace);
    });

    it('an XDP program sees real packets, is replaced in place and detached', async () => {
      const pass = counter('xdp', 0, 2, 2);
      const drop = counter('xdp', 1, 1, 2);
      const link = attachXdp(pass, here, 'generic');
      expect(link.info()).toMatchObject({ programId: pass.info().id });
      expect(await send(5)).toBe(5);
      expect([count(0), count(1)]).toEqual([5, 0]);

      link.update(drop);
      expect(await send(4)).toBe(0);
      expect([count(0), count(1)]).toEqual([5, 4]);
      expect(() => attachXdp(pass, here, 'generic')).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_EBUSY' }));

      link.detach();
      expect(await send(3)).toBe(3);
      expect([count(0), count(1)]).toEqual([5, 4]);
      link.close();
      expect(() => link.info()).toThrow('closed');
    });

    it('native mode works where the driver can', async () => {
      const drop = counter('xdp', 2, 1, 2);
      const link = attachXdp(drop, interfaceIndex(here), 'native');
      expect(await send(2)).toBe(0);
      expect(count(2)).toBe(2);
      link.close();
      expect(await send(1)).toBe(1);
    });

    it('a tcx program stands at one side of the interface', async () => {
      const drop = counter('sched_cls', 3, 2, -1);
      const link = attachTcx(drop, here, 'ingress');
      expect(attachedPrograms(interfaceIndex(here), 'tcx_ingress')).toEqual([drop.info().id]);
      expect(await send(3)).toBe(0);
      expect(count(3)).toBe(3);
      link.close();
      expect(attachedPrograms(interfaceIndex(here), 'tcx_ingress')).toEqual([]);
      expect(await send(1)).toBe(1);
    });

    it('names the errno of what cannot be attached', () => {
      const program = counter('sched_cls', 0, 0, 0);
      expect(() => createLink({ programFd: program.fd, target: interfaceIndex(here), attachType: 'xdp' })).toThrow(
        expect.objectContaining({ errno: 'EINVAL' }),
      );
      expect(() => attachXdp(program, 'no-such-dev')).toThrow('no interface no-such-dev');
    });
  },
);
