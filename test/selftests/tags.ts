/** What the kernel's selftests expect of their programs: the BTF decl tags of bpf_misc.h, as test_loader.c reads them. */
import type { Btf } from '../../src/btf/types.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';

/** For a loader with all capabilities. */
export interface Expectation {
  readonly verdict: 'accept' | 'reject';
  /** Parts of the log, in order; `{{…}}` in them are regular expressions. */
  readonly messages: readonly string[];
  /** Of a test run over 64 zero bytes; `any` for a pointer. */
  readonly returnValue: number | 'any' | undefined;
  /** BPF_F_* of BPF_PROG_LOAD. */
  readonly flags: number;
  /** As log_level of BPF_PROG_LOAD. */
  readonly logLevel?: number;
}

const PREFIX = 'comment:';
const loadFlags: Readonly<Record<string, number>> = {
  BPF_F_STRICT_ALIGNMENT: 1,
  BPF_F_ANY_ALIGNMENT: 2,
  BPF_F_TEST_RND_HI32: 4,
  BPF_F_TEST_STATE_FREQ: 8,
  BPF_F_SLEEPABLE: 16,
  BPF_F_XDP_HAS_FRAGS: 32,
  BPF_F_TEST_REG_INVARIANTS: 128,
};
const values: Readonly<Record<string, number | 'any'>> = {
  POINTER_VALUE: 'any',
  TEST_DATA_LEN: 64,
  INT_MIN: -0x8000_0000,
};

/** By program name; a program without tags, or for another machine, has none. */
export function expectationsOf(object: ObjectSpec): Map<string, Expectation> {
  const found = new Map<string, Expectation>();
  if (object.btf === undefined) return found;
  const tags = tagsByFunction(object.btf);
  for (const name of object.programs.keys()) {
    const expectation = expectationOf(tags.get(name) ?? []);
    if (expectation !== undefined) found.set(name, expectation);
  }
  return found;
}

function expectationOf(tags: readonly string[]): Expectation | undefined {
  const success = tags.includes('test_expect_success');
  if (!success && !tags.includes('test_expect_failure')) return undefined;
  const machines = valuesOf(tags, 'test_arch=');
  if (machines.length > 0 && !machines.includes('X86_64')) return undefined;
  const returned = valuesOf(tags, 'test_retval=')[0];
  const level = valuesOf(tags, 'test_log_level=')[0];
  return {
    verdict: success ? 'accept' : 'reject',
    messages: valuesOf(tags, 'test_expect_msg=').map((text) => text.replace(/^\d+=/, '')),
    returnValue: returned === undefined ? undefined : (values[returned] ?? Number(returned)),
    ...(level === undefined ? {} : { logLevel: Number(level) }),
    flags: valuesOf(tags, 'test_prog_flags=').reduce((all, name) => all | (loadFlags[name] ?? Number(name)), 0),
  };
}

function valuesOf(tags: readonly string[], prefix: string): string[] {
  return tags.filter((tag) => tag.startsWith(prefix)).map((tag) => tag.slice(prefix.length));
}

function tagsByFunction(btf: Btf): Map<string, string[]> {
  const tags = new Map<string, string[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type?.kind !== 'decl_tag' || !type.name.startsWith(PREFIX)) continue;
    const func = btf.type(type.type);
    if (func?.kind !== 'func') continue;
    const known = tags.get(func.name);
    if (known === undefined) tags.set(func.name, [type.name.slice(PREFIX.length)]);
    else known.push(type.name.slice(PREFIX.length));
  }
  return tags;
}

/** A part of a log with its `{{…}}`, as an expression. */
export function messagePattern(message: string): RegExp {
  const parts = message.split(/\{\{(.*?)\}\}/);
  return new RegExp(
    parts.map((part, i) => (i % 2 === 1 ? part : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join(''),
  );
}
