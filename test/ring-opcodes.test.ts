/** What the plane translates (plane/assembly/ring/opcodes.ts) are the words that abi/io-uring/opcodes.ts names as addresses: each opcode, seen by a kernel of paper. */
import { afterAll, describe, expect, it } from 'vitest';
import { type OpcodeDeclaration, opcodes, type SqeWord } from '../src/abi/io-uring/opcodes.ts';
import { RingCore } from '../src/hooks/ring/core.ts';
import { ADDRESS_OF_PROCESS } from '../src/plane/layout/sqe.ts';
import type { RingAddresses, RingBackend } from '../src/runtime/ring-backend.ts';
import { Runtime } from '../src/runtime/runtime.ts';

const BASE = 0x7f12_0000_0000n;
const places: Readonly<Record<SqeWord, number>> = { off: 8, addr: 16, addr3: 48 };

/** Keeps what it is given, and completes it with 0. */
class PaperKernel implements RingBackend {
  readonly name = 'simulated';
  readonly base = BASE;
  readonly features = new Set<string>();
  readonly addresses: RingAddresses;
  readonly seen: DataView[] = [];
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    const at = runtime.allocatePages(65536);
    this.addresses = {
      sqHead: at,
      sqTail: at + 4,
      sqFlags: at + 8,
      sqArray: 0,
      sqes: at + 4096,
      sqMask: 15,
      cqHead: at + 12,
      cqTail: at + 16,
      cqes: at + 1024,
      cqMask: 63,
    };
  }

  supports(): boolean {
    return true;
  }

  enter(submit: number): number {
    const { sqHead, sqTail, sqes, cqTail, cqes } = this.addresses;
    const view = this.#runtime.view();
    let taken = 0;
    for (; taken < submit && view.getUint32(sqHead, true) !== view.getUint32(sqTail, true); taken++) {
      const head = view.getUint32(sqHead, true);
      const sqe = sqes + (head & 15) * 64;
      this.seen.push(new DataView(this.#runtime.bytes().slice(sqe, sqe + 64).buffer));
      const tail = view.getUint32(cqTail, true);
      const cqe = cqes + (tail & 63) * 16;
      view.setBigUint64(cqe, view.getBigUint64(sqe + 32, true), true);
      view.setBigUint64(cqe + 8, 0n, true);
      view.setUint32(cqTail, tail + 1, true);
      view.setUint32(sqHead, head + 1, true);
    }
    return taken;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  register(): number {
    return -22;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Opcodes whose words name other requests, are the user_data of another ring's completion, or that need one before them, go other ways. */
const special: ReadonlySet<string> = new Set([
  'poll_remove',
  'timeout_remove',
  'async_cancel',
  'link_timeout',
  'msg_ring',
  'bpf',
]);

describe('addresses in requests', () => {
  const runtime = new Runtime({ seed: 1n });
  const kernel = new PaperKernel(runtime);
  const ring = new RingCore(runtime, kernel);
  afterAll(() => ring.close());

  function words(declaration: OpcodeDeclaration, high: number): Record<SqeWord, bigint> {
    kernel.seen.length = 0;
    ring.stage((view, at) => {
      view.setUint8(at, declaration.number);
      view.setInt32(at + 4, 3, true);
      view.setUint32(at + 24, 1, true);
      for (const place of Object.values(places)) {
        view.setUint32(at + place, 0x2_0000 + place, true);
        view.setUint32(at + place + 4, high, true);
      }
    });
    ring.submit();
    expect(kernel.seen).toHaveLength(1);
    const sqe = kernel.seen[0]!;
    expect(sqe.getBigUint64(56, true), 'what is ours in it').toBe(0n);
    return {
      off: sqe.getBigUint64(8, true),
      addr: sqe.getBigUint64(16, true),
      addr3: sqe.getBigUint64(48, true),
    };
  }

  const cases = Object.entries(opcodes).filter(([name]) => !special.has(name)) as [string, OpcodeDeclaration][];

  it.each(cases)('%s', (_, declaration) => {
    const linear = words(declaration, 0);
    const ofProcess = words(declaration, ADDRESS_OF_PROCESS + 5);
    for (const word of Object.keys(places) as SqeWord[]) {
      const given = 0x2_0000n + BigInt(places[word]);
      const isAddress = declaration.addresses.includes(word);
      expect(linear[word], `${word} in the linear memory`).toBe(isAddress ? BASE + given : given);
      const processAddress = (5n << 32n) + given;
      const untouched = (BigInt(ADDRESS_OF_PROCESS + 5) << 32n) + given;
      expect(ofProcess[word], `${word} of the process`).toBe(isAddress ? processAddress : untouched);
    }
  });
});
