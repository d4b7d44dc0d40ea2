/** One WebAssembly module: sections in order, types shared, functions numbered imports first. */
import { InternalError } from '../../errors.ts';
import { ByteBuffer, type Code } from './encoder.ts';
import { I32, type ValueType, wasm } from './opcodes.ts';

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

const KIND_FUNCTION = 0;
const KIND_TABLE = 1;
const KIND_MEMORY = 2;
const KIND_GLOBAL = 3;
const FUNCREF = 0x70;

export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #typeIndex = new Map<string, number>();
  readonly #importSection = new ByteBuffer();
  readonly #imports: { module: string; name: string }[] = [];
  readonly #functionImports: { name: string; type: number }[] = [];
  readonly #functions: { name: string; type: number; body: ByteBuffer | undefined }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #elements: number[] = [];
  readonly #tags: number[] = [];
  #elementBase = 0;
  #globals = 0;

  get imports(): readonly { module: string; name: string }[] {
    return this.#imports;
  }

  type(type: FunctionType): number {
    const key = `${type.parameters.join(' ')}>${type.results.join(' ')}`;
    const known = this.#typeIndex.get(key);
    if (known !== undefined) return known;
    this.#types.push(type);
    this.#typeIndex.set(key, this.#types.length - 1);
    return this.#types.length - 1;
  }

  #import(module: string, name: string, kind: number): ByteBuffer {
    this.#imports.push({ module, name });
    this.#importSection.name(module);
    this.#importSection.name(name);
    this.#importSection.byte(kind);
    return this.#importSection;
  }

  importSharedMemory(module: string, name: string, minimum: number, maximum: number): void {
    const out = this.#import(module, name, KIND_MEMORY);
    out.byte(0x03);
    out.unsigned(minimum);
    out.unsigned(maximum);
  }

  importTable(module: string, name: string): void {
    const out = this.#import(module, name, KIND_TABLE);
    out.byte(FUNCREF);
    out.byte(0x00);
    out.unsigned(0);
  }

  /** An immutable i32 global. */
  importGlobal(module: string, name: string): number {
    const out = this.#import(module, name, KIND_GLOBAL);
    out.byte(I32);
    out.byte(0x00);
    return this.#globals++;
  }

  /** All imported functions must be declared before the first defined one. */
  importFunction(module: string, name: string, type: FunctionType): number {
    if (this.#functions.length > 0) throw new InternalError('import after a definition');
    const index = this.type(type);
    this.#import(module, name, KIND_FUNCTION).unsigned(index);
    this.#functionImports.push({ name, type: index });
    return this.#functionImports.length - 1;
  }

  /** Index of a new exception tag that carries these values. */
  tag(values: readonly ValueType[]): number {
    return this.#tags.push(this.type({ parameters: values, results: [] })) - 1;
  }

  /** Reserves an index; `define` gives the body. */
  declare(name: string, type: FunctionType): number {
    this.#functions.push({ name, type: this.type(type), body: undefined });
    return this.#functionImports.length + this.#functions.length - 1;
  }

  define(index: number, code: Code): void {
    const declared = this.#functions[index - this.#functionImports.length];
    if (declared === undefined) throw new InternalError(`function ${index} is not declared`);
    declared.body = code.finish();
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  /** Functions that go into table 0 from the value of global `base` on. */
  elements(base: number, functions: readonly number[]): void {
    this.#elementBase = base;
    this.#elements.push(...functions);
  }

  finish(): Uint8Array {
    const out = new ByteBuffer();
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(byte);
    const section = (id: number, content: ByteBuffer): void => {
      out.byte(id);
      out.sized(content);
    };
    const vector = <T>(items: readonly T[], write: (to: ByteBuffer, item: T) => void): ByteBuffer => {
      const content = new ByteBuffer();
      content.unsigned(items.length);
      for (const item of items) write(content, item);
      return content;
    };
    section(
      1,
      vector(this.#types, (to, type) => {
        to.byte(0x60);
        for (const list of [type.parameters, type.results]) {
          to.unsigned(list.length);
          for (const value of list) to.byte(value);
        }
      }),
    );
    const imports = new ByteBuffer();
    imports.unsigned(this.#imports.length);
    imports.bytes(this.#importSection.view());
    section(2, imports);
    section(
      3,
      vector(this.#functions, (to, { type }) => to.unsigned(type)),
    );
    if (this.#tags.length > 0)
      section(
        13,
        vector(this.#tags, (to, type) => {
          to.byte(0);
          to.unsigned(type);
        }),
      );
    section(
      7,
      vector(this.#exports, (to, { name, index }) => {
        to.name(name);
        to.byte(KIND_FUNCTION);
        to.unsigned(index);
      }),
    );
    if (this.#elements.length > 0) section(9, this.#elementSection());
    section(
      10,
      vector(this.#functions, (to, { name, body }) => {
        if (body === undefined) throw new InternalError(`function ${name} has no body`);
        to.sized(body);
      }),
    );
    section(0, this.#nameSection());
    return out.view().slice();
  }

  #elementSection(): ByteBuffer {
    const content = new ByteBuffer();
    content.unsigned(1);
    content.unsigned(0);
    content.byte(wasm.globalGet);
    content.unsigned(this.#elementBase);
    content.byte(wasm.end);
    content.unsigned(this.#elements.length);
    for (const index of this.#elements) content.unsigned(index);
    return content;
  }

  #nameSection(): ByteBuffer {
    const names = new ByteBuffer();
    names.unsigned(this.#functionImports.length + this.#functions.length);
    [...this.#functionImports, ...this.#functions].forEach(({ name }, index) => {
      names.unsigned(index);
      names.name(name);
    });
    const content = new ByteBuffer();
    content.name('name');
    content.byte(1);
    content.sized(names);
    return content;
  }
}
