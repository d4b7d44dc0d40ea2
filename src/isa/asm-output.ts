/** What the assembler's syntaxes make of their lines: statements, and the program that grows from them. */
import { decodeInsns } from './decode.ts';
import type { Insn } from './insn.ts';
import type { Operation } from './operation.ts';
import { insnsOf } from './operation-slots.ts';
import type { SourceLine } from './source-line.ts';

/** One instruction as read, before labels are known. */
export interface Statement {
  readonly operation: Operation;
  /** Label whose distance is to be put in. */
  readonly target?: AsmTarget | undefined;
  /** The operation is an LDDW that is to load the address of this jump table. */
  readonly jumpTable?: number;
}

export interface AsmTarget {
  /** Of an LDDW or a call it may also be a symbol that the program does not define. */
  readonly label: string;
  /** Of the label in its line. */
  readonly position: number;
  /** Field that the distance goes into. */
  readonly field: 'off' | 'imm';
}

export interface Fixup extends Omit<AsmTarget, 'position'> {
  readonly slot: number;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export class AsmOutput {
  readonly insns: Insn[] = [];
  readonly labels = new Map<string, number>();
  /** Line (from 1) by slot. */
  readonly lines: number[] = [];
  readonly fixups: Fixup[] = [];
  /** First slots of LDDWs by jump table. */
  readonly tableReferences = new Map<number, number[]>();
  /** Slots of each numeric label, which may be defined many times. */
  readonly numericLabels = new Map<string, number[]>();

  /** Gives the next instruction a name. `position`: of the name in its line. */
  define(line: SourceLine, name: string, position: number): void {
    if (this.labels.has(name)) line.fail(`label '${name}' is defined twice`, position);
    this.labels.set(name, this.insns.length);
  }

  defineNumeric(name: string): void {
    const slots = this.numericLabels.get(name);
    if (slots === undefined) this.numericLabels.set(name, [this.insns.length]);
    else slots.push(this.insns.length);
  }

  /** Slot of a label as seen from an instruction; `1b` and `1f` are the nearest `1:` before and behind. */
  find(label: string, from: number): number | undefined {
    const numeric = /^([0-9]+)([bf])$/.exec(label);
    if (numeric === null) return this.labels.get(label);
    const slots = this.numericLabels.get(numeric[1]!) ?? [];
    return numeric[2] === 'b' ? slots.findLast((slot) => slot <= from) : slots.find((slot) => slot > from);
  }

  emit(line: SourceLine, statement: Statement): void {
    const { operation, target, jumpTable } = statement;
    const slot = this.insns.length;
    if (target !== undefined) {
      const { label, position, field } = target;
      this.fixups.push({ slot, field, label, line: line.number, column: position + 1 });
    }
    if (jumpTable !== undefined) {
      const references = this.tableReferences.get(jumpTable);
      if (references === undefined) this.tableReferences.set(jumpTable, [slot]);
      else references.push(slot);
    }
    for (const insn of insnsOf(operation)) this.emitSlot(line, insn);
  }

  /** One slot as its 64 bits, little-endian. */
  emitWord(line: SourceLine, word: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, word, true);
    for (const insn of decodeInsns(bytes)) this.emitSlot(line, insn);
  }

  private emitSlot(line: SourceLine, insn: Insn): void {
    this.insns.push(insn);
    this.lines.push(line.number);
  }
}
