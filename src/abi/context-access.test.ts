import { describe, expect, it } from 'vitest';
import { fieldOfAccess, helperOf, returnRuleOf } from './context-access.ts';
import { helperId } from './helpers/index.ts';
import { type AttachTypeName, type ProgramTypeName, programTypeNames } from './program-types.ts';
import { programDeclarations } from './programs/index.ts';

const of = (type: ProgramTypeName) => programDeclarations.get(type)!;

describe('context accesses', () => {
  const fields = of('sched_cls').context.fields;
  const name = (offset: number, size: number, write = false, signed = false) =>
    fieldOfAccess(fields, { offset, size, write, signed })?.name;

  it('are whole, or narrow where the field says so', () => {
    expect(name(8, 4)).toBe('mark');
    expect(name(9, 1)).toBe('mark');
    expect(name(8, 8)).toBeUndefined();
    expect(name(76, 4)).toBe('data');
    expect(name(76, 2)).toBeUndefined();
    expect(name(152, 8)).toBe('tstamp');
    expect(name(152, 4)).toBeUndefined();
  });

  it('are aligned, inside the context and not of padding', () => {
    expect(name(10, 4)).toBeUndefined();
    expect(name(181, 1)).toBeUndefined();
    expect(name(192, 4)).toBeUndefined();
  });

  it('of arrays stay inside them', () => {
    expect(name(56, 8)).toBe('cb');
    expect(name(64, 8)).toBeUndefined();
    expect(name(64, 4)).toBe('cb');
  });

  it('write whole fields that may be written', () => {
    expect(name(8, 4, true)).toBe('mark');
    expect(name(8, 1, true)).toBeUndefined();
    expect(name(0, 4, true)).toBeUndefined();
  });

  it('do not extend the sign of pointers', () => {
    expect(name(76, 4, false, true)).toBeUndefined();
    expect(name(8, 4, false, true)).toBe('mark');
  });

  it('may depend on the attach type', () => {
    const at = (attachType: AttachTypeName | undefined, write = false) =>
      fieldOfAccess(of('cgroup_sockopt').context.fields, { offset: 24, size: 4, write, attachType })?.name;
    expect(at('cgroup_getsockopt')).toBe('level');
    expect(at('cgroup_getsockopt', true)).toBeUndefined();
    expect(at('cgroup_setsockopt', true)).toBe('level');
    expect(at(undefined, true)).toBeUndefined();
  });

  it('read padding behind a field where older objects do', () => {
    const { fields: sk } = of('sk_lookup').context;
    expect(fieldOfAccess(sk, { offset: 36, size: 4, write: false })?.name).toBe('remote_port');
    expect(fieldOfAccess(sk, { offset: 36, size: 8, write: false })).toBeUndefined();
  });
});

describe('helpers of a program', () => {
  const gpl = (attachType: AttachTypeName | undefined) =>
    helperOf(of('kprobe'), helperId('get_func_ip')!, attachType)?.gplOnly;

  it('may have another prototype for an attach type', () => {
    expect(gpl(undefined)).toBe(true);
    expect(gpl('trace_kprobe_multi')).toBe(false);
  });

  it('may be there for some attach types only', () => {
    const bind = (attachType: AttachTypeName) => helperOf(of('cgroup_sock_addr'), helperId('bind')!, attachType)?.name;
    expect(bind('cgroup_inet4_connect')).toBe('bpf_bind');
    expect(bind('cgroup_inet4_bind')).toBeUndefined();
    expect(helperOf(of('xdp'), helperId('skb_store_bytes')!, 'xdp')).toBeUndefined();
  });
});

describe('program types', () => {
  it('are all declared', () => {
    expect([...programDeclarations.keys()].sort()).toEqual([...programTypeNames].sort());
    for (const [type, declaration] of programDeclarations) expect(declaration.type).toBe(type);
  });

  it('say what they return, by attach type', () => {
    expect(returnRuleOf(of('cgroup_skb'), 'cgroup_inet_egress')).toEqual({ min: 0, max: 3 });
    expect(returnRuleOf(of('cgroup_skb'), undefined)).toEqual({ min: 0, max: 1 });
    expect(returnRuleOf(of('tracing'), 'modify_return')).toBe('any');
    expect(of('sched_cls').verdicts.get(0xffff_ffff)).toBe('TC_ACT_UNSPEC');
  });

  it('keep attach types of fields and helpers among their own', () => {
    for (const { type, attachTypes, context, helperAttachTypes, returnsByAttachType } of programDeclarations.values()) {
      const named = [
        ...context.fields.flatMap((field) => [...(field.attachTypes ?? []), ...(field.writeAttachTypes ?? [])]),
        ...[...(helperAttachTypes?.values() ?? [])].flat(),
        ...(returnsByAttachType?.keys() ?? []),
      ];
      for (const name of named) expect(attachTypes, type).toContain(name);
      for (const field of context.fields) expect(field.offset + field.size).toBeLessThanOrEqual(context.size);
    }
  });
});
