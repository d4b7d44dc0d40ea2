/**
 * Webs: the definitions and uses of a register that belong together. Two definitions of r1 that no use sees both of are two
 * webs, so that one may be an i32 and the other an i64. Webs of one register are never live at the same time: they can share
 * one local a type.
 */
import type { FlowGraph } from './dominators.ts';
import { type Block, definition, NO_REGISTER, type Op, successors, visitEndUses } from './ir.ts';
import { liveIn } from './liveness.ts';

export type Web = number;

export class Webs {
  readonly blocks: readonly Block[];
  readonly graph: FlowGraph;
  readonly registers: number;
  readonly live: Uint8Array;
  /** Number of the first definition in each block; definitions are numbered in block order. */
  readonly #firstDefinition: Int32Array;
  /** Union-find over (block, register) at block starts, then definitions. */
  readonly #parent: Int32Array;

  constructor(blocks: readonly Block[], graph: FlowGraph, registers: number) {
    this.blocks = blocks;
    this.graph = graph;
    this.registers = registers;
    this.live = liveIn(blocks, graph, registers);
    this.#firstDefinition = new Int32Array(blocks.length);
    let definitions = 0;
    blocks.forEach((block, number) => {
      this.#firstDefinition[number] = definitions;
      definitions += block.ops.length;
    });
    this.#parent = new Int32Array(blocks.length * registers + definitions);
    this.#parent.forEach((_, web) => {
      this.#parent[web] = web;
    });
    for (const block of graph.order) this.#connect(block);
  }

  get count(): number {
    return this.#parent.length;
  }

  find(web: Web): Web {
    let root = web;
    while (this.#parent[root] !== root) root = this.#parent[root]!;
    for (let at = web; at !== root; ) {
      const next = this.#parent[at]!;
      this.#parent[at] = root;
      at = next;
    }
    return root;
  }

  isLive(block: number, register: number): boolean {
    return this.live[block * this.registers + register] === 1;
  }

  atStart(block: number, register: number): Web {
    return this.find(block * this.registers + register);
  }

  /** The webs of a block, from its start to its end: walk with `step` over its operations. */
  cursor(block: number): WebCursor {
    return new WebCursor(this, block, this.blocks.length * this.registers + this.#firstDefinition[block]!);
  }

  #connect(number: number): void {
    const cursor = this.cursor(number);
    const block = this.blocks[number]!;
    for (const op of block.ops) cursor.step(op);
    for (const next of successors(block.end)) {
      for (let register = 0; register < this.registers; register++) {
        if (!this.isLive(next, register)) continue;
        const a = this.atStart(next, register);
        const b = cursor.web(register);
        if (a !== b) this.#parent[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
}

export class WebCursor {
  readonly #webs: Webs;
  readonly #current: Int32Array;
  #next: number;

  constructor(webs: Webs, block: number, firstDefinition: number) {
    this.#webs = webs;
    this.#next = firstDefinition;
    this.#current = new Int32Array(webs.registers);
    for (let register = 0; register < webs.registers; register++)
      this.#current[register] = block * webs.registers + register;
  }

  /** Web that holds the register's value here. */
  web(register: number): Web {
    return this.#webs.find(this.#current[register]!);
  }

  /** Web that the operation at hand defines; only if it defines one. */
  defined(): Web {
    return this.#webs.find(this.#next);
  }

  step(op: Op): void {
    const register = definition(op);
    if (register !== NO_REGISTER) this.#current[register] = this.#next;
    this.#next++;
  }
}

/** Calls `visit` for each register that the end of a block reads, with its web there. */
export function endUses(cursor: WebCursor, block: Block, visit: (web: Web, register: number) => void): void {
  visitEndUses(block.end, (register) => visit(cursor.web(register), register));
}
