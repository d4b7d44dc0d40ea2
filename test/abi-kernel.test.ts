/** The declarations in abi/ against the verifier of this machine's kernel: one small program for each question. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fieldOfAccess, helperOf, returnRuleOf } from '../src/abi/context-access.ts';
import { socketStructs } from '../src/abi/contexts/sock.ts';
import { helperId, helperName, helperNames } from '../src/abi/helpers/index.ts';
import { linuxKfuncs } from '../src/abi/linux-kfuncs.ts';
import type { ContextFieldKind, ProgramDeclaration } from '../src/abi/program-declaration.ts';
import { type AttachTypeName, isLinuxProgramType } from '../src/abi/program-types.ts';
import { programDeclarations } from '../src/abi/programs/index.ts';
import type { Btf } from '../src/btf/types.ts';
import { vmlinuxBtf } from '../src/linux/btf-vmlinux.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { kernelOptions } from '../src/linux/kconfig.ts';
import {
  add,
  ask,
  call,
  exit,
  jumpAbove,
  load,
  loadAbsolute,
  move,
  type Question,
  SLEEPABLE,
  set,
  store,
} from './kernel-probe.ts';

const refusal = bpfRefusal();

/** Every type with each attach type that it has, as far as programs of it load here without a target. */
function subjects(): {
  readonly name: string;
  readonly declaration: ProgramDeclaration;
  readonly question: Question;
}[] {
  const all = [];
  for (const declaration of programDeclarations.values()) {
    const { type, attachTypes, attachTypeRequired, context } = declaration;
    if (context.layout !== undefined || !isLinuxProgramType(type)) continue; // needs a target; no kernel has it
    const choices: (AttachTypeName | undefined)[] = attachTypeRequired ? [...attachTypes] : [undefined, ...attachTypes];
    for (const attachType of choices) {
      const question = { type, attachType };
      if (ask([set(0, 1), exit], question).kind !== 'accepted') continue;
      all.push({ name: attachType === undefined ? type : `${type} for ${attachType}`, declaration, question });
    }
  }
  return all;
}

/** Helpers that a kernel may have been built without. */
const optional: Readonly<Record<string, string>> = {
  bpf_override_return: 'CONFIG_BPF_KPROBE_OVERRIDE',
  bpf_skb_get_xfrm_state: 'CONFIG_XFRM',
  bpf_get_cgroup_classid: 'CONFIG_CGROUP_NET_CLASSID',
  bpf_skb_cgroup_classid: 'CONFIG_CGROUP_NET_CLASSID',
  bpf_lwt_seg6_store_bytes: 'CONFIG_IPV6_SEG6_BPF',
  bpf_lwt_seg6_action: 'CONFIG_IPV6_SEG6_BPF',
  bpf_lwt_seg6_adjust_srh: 'CONFIG_IPV6_SEG6_BPF',
  bpf_tcp_raw_gen_syncookie_ipv4: 'CONFIG_SYN_COOKIES',
  bpf_tcp_raw_gen_syncookie_ipv6: 'CONFIG_SYN_COOKIES',
  bpf_tcp_raw_check_syncookie_ipv4: 'CONFIG_SYN_COOKIES',
  bpf_tcp_raw_check_syncookie_ipv6: 'CONFIG_SYN_COOKIES',
};

/** Refused by a kernel that is locked down. */
const lockedDown: ReadonlySet<string> = new Set([
  'bpf_probe_write_user',
  'bpf_probe_read',
  'bpf_probe_read_str',
  'bpf_probe_read_kernel',
  'bpf_probe_read_kernel_str',
]);

const shown: Readonly<Record<Exclude<ContextFieldKind, 'scalar'>, string>> = {
  packet: '=pkt(',
  packet_end: '=pkt_end(',
  packet_meta: '=pkt_meta(',
  socket: '=sock(',
  socket_or_null: '=sock_or_null(',
  sock_common_or_null: '=sock_common_or_null(',
  flow_keys: '=flow_keys(',
  tp_buffer: '=tp_buffer(',
  btf_id: '=trusted_ptr_',
};

describe.skipIf(refusal !== undefined)(
  `abi against the kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    const all = refusal === undefined ? subjects() : [];
    const config = refusal === undefined ? kernelOptions() : {};

    it('finds most program types', () => {
      expect(new Set(all.map(({ question }) => question.type)).size).toBeGreaterThan(20);
    });

    it.each(all)(
      'helpers of $name, and which of them want a GPL-compatible license or a sleepable program',
      ({ declaration, question }) => {
        const wrong: string[] = [];
        for (let id = 1; id <= helperNames.length; id++) {
          const name = helperName(id)!;
          const prototype = helperOf(declaration, id, question.attachType ?? declaration.defaultAttachType);
          const here = prototype === undefined ? 'none' : prototype.gplOnly ? 'gpl' : 'any';
          const answer = ask([call(id), set(0, 1), exit], { ...question, license: 'Proprietary' });
          if (answer.kind === 'not judged') throw new Error(`${name}: ${answer.errno}`);
          const linux = /(invalid|unknown) func |cannot use helper/.test(answer.log)
            ? 'none'
            : answer.log.includes('GPL-restricted')
              ? 'gpl'
              : 'any';
          const option = optional[name];
          const built =
            !lockedDown.has(name) && (option === undefined || config[option] === 'y' || config[option] === 'm');
          if (here !== linux && (built || linux !== 'none')) wrong.push(`${name}: ${here}, Linux ${linux}`);
          if (prototype === undefined || linux === 'none') continue;
          const sleeps = ask([call(id), set(0, 1), exit], question);
          const mightSleep = sleeps.kind === 'refused' && sleeps.log.includes('helper call might sleep');
          if (mightSleep !== (prototype.sleepable === true && declaration.sleepable !== 'always'))
            wrong.push(`${name}: sleeps`);
        }
        expect(wrong).toEqual([]);
      },
    );

    it.each(all)('context accesses of $name', ({ declaration, question }) => {
      const { fields, size: end } = declaration.context;
      const wrong: string[] = [];
      // Beyond the first KiB the declared byte ranges go on the same way.
      for (const size of [1, 2, 4, 8]) {
        for (let offset = 0; offset < Math.min(end, 1024) + 16; offset += size) {
          for (const write of [false, true]) {
            const access = { offset, size, write, attachType: question.attachType ?? declaration.defaultAttachType };
            const here = fieldOfAccess(fields, access);
            const body = write ? [set(2, 0), store(size, 1, 2, offset)] : [load(size, 2, 1, offset)];
            const asksKind = here !== undefined && here.kind !== 'scalar' && !write;
            const answer = ask([...body, set(0, 1), exit], { ...question, log: asksKind });
            const what = `${write ? 'store' : 'load'} of ${size} at ${offset} (${here?.name ?? 'none'})`;
            if (answer.kind === 'not judged') wrong.push(`${what}: ${answer.errno}`);
            else if (answer.kind === 'refused' && !/invalid bpf_context access|cannot write into ctx/.test(answer.log))
              wrong.push(`${what}: ${answer.log}`);
            else if ((answer.kind === 'accepted') !== (here !== undefined)) wrong.push(`${what}: Linux ${answer.kind}`);
            else if (asksKind && !answer.log.includes(shown[here.kind as keyof typeof shown] + (here.btfId ?? '')))
              wrong.push(`${what}: ${answer.log}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });

    it.each(all)('return values of $name', ({ declaration, question }) => {
      const rule = returnRuleOf(declaration, question.attachType ?? declaration.defaultAttachType);
      for (const value of [-2, -1, 0, 1, 2, 3, 4, 1000]) {
        const fits = rule === 'any' || (rule !== 'by_target' && value >= rule.min && value <= rule.max);
        const answer = ask([set(0, value), exit], question);
        expect({ value, accepted: answer.kind === 'accepted' }).toEqual({ value, accepted: fits });
      }
    });

    it.each(all)('packet access and sleeping of $name', ({ declaration, question }) => {
      const accepted = (body: Parameters<typeof ask>[0], extra: Partial<Question> = {}) =>
        ask([...body, set(0, 1), exit], { ...question, ...extra }).kind === 'accepted';
      expect(accepted([move(6, 1), loadAbsolute])).toBe(declaration.packetLoads);
      const start = declaration.context.fields.find(({ kind }) => kind === 'packet');
      const limit = declaration.context.fields.find(({ kind }) => kind === 'packet_end');
      const through = (write: boolean) =>
        start !== undefined &&
        limit !== undefined &&
        accepted([
          load(start.size, 2, 1, start.offset),
          load(limit.size, 3, 1, limit.offset),
          move(4, 2),
          add(4, 8),
          jumpAbove(4, 3, write ? 2 : 1),
          ...(write ? [set(5, 0), store(1, 2, 5, 0)] : [load(1, 5, 2, 0)]),
        ]);
      expect(through(false)).toBe(declaration.packetAccess !== 'none');
      expect(through(true)).toBe(declaration.packetAccess === 'write');
      if (start !== undefined && limit !== undefined) {
        const hands = (helper: string, args: Parameters<typeof ask>[0]) =>
          accepted([
            load(start.size, 6, 1, start.offset),
            load(limit.size, 3, 1, limit.offset),
            move(4, 6),
            add(4, 8),
            jumpAbove(4, 3, args.length + 1),
            ...args,
            call(helperId(helper)!),
          ]);
        // trace_printk takes no packet; csum_diff does.
        expect(hands('trace_printk', [move(1, 6), set(2, 1)])).toBe(declaration.packetArguments === 'any');
        if (declaration.helpers.has(helperId('csum_diff')!)) {
          const difference = [set(1, 0), set(2, 0), move(3, 6), set(4, 4), set(5, 0)];
          expect(hands('csum_diff', difference)).toBe(declaration.packetArguments !== 'none');
        }
      }
      if (question.type !== 'syscall') expect(accepted([], { flags: SLEEPABLE })).toBe(declaration.sleepable === 'may');
    });
  },
);

const hasBtf = existsSync('/sys/kernel/btf/vmlinux');

/** Offsets and sizes in bytes of a struct's members, those of anonymous members among them. */
function members(btf: Btf, id: number, base = 0): Map<string, { offset: number; size: number }> {
  const { type } = btf.resolve(id);
  const found = new Map<string, { offset: number; size: number }>();
  if (type?.kind !== 'struct' && type?.kind !== 'union') return found;
  for (const member of type.members) {
    const offset = base + member.bitOffset / 8;
    if (member.name !== '') found.set(member.name, { offset, size: btf.sizeOf(member.type) });
    else for (const [name, place] of members(btf, member.type, offset)) found.set(name, place);
  }
  return found;
}

/** Fields for bytes that have no name in the struct. */
const unnamed: ReadonlySet<string> = new Set(['padding', 'buffer', 'buffer_tail', 'pt_regs.regs']);

/** Tagged, and registered for nobody: targets of the kernel's own tests. */
const unlisted: ReadonlySet<string> = new Set([
  'bpf_fentry_test1',
  'bpf_modify_return_test',
  'bpf_modify_return_test2',
  'bpf_modify_return_test_tp',
]);

describe.skipIf(!hasBtf)(
  `contexts against vmlinux BTF${hasBtf ? '' : ' (skipped: no /sys/kernel/btf/vmlinux)'}`,
  () => {
    const contexts = [
      ...[...programDeclarations.values()]
        .filter(({ type, context }) => context.layout === undefined && isLinuxProgramType(type))
        .map(({ context }) => context),
      ...Object.values(socketStructs),
    ].filter(({ struct }) => hasBtf && vmlinuxBtf().find(struct, 'struct') !== undefined);

    it('knows the kfuncs that the kernel tags', () => {
      const btf = vmlinuxBtf();
      const tagged = btf.findAll('bpf_kfunc').flatMap((id) => {
        const tag = btf.type(id);
        const target = tag?.kind === 'decl_tag' ? btf.type(tag.type) : undefined;
        return target?.kind === 'func' ? [target.name] : [];
      });
      expect(tagged.length).toBeGreaterThan(50);
      expect(tagged.filter((name) => !linuxKfuncs.has(name) && !unlisted.has(name))).toEqual([]);
    });

    it('knows the structs', () => {
      expect(new Set(contexts.map(({ struct }) => struct)).size).toBeGreaterThan(12);
    });

    it.each(contexts)('struct $struct', ({ struct, size, fields }) => {
      const id = vmlinuxBtf().find(struct, 'struct')!;
      // The arguments of a raw tracepoint are an array without length.
      if (struct !== 'bpf_raw_tracepoint_args') expect(size).toBe(vmlinuxBtf().sizeOf(id));
      const places = members(vmlinuxBtf(), id);
      for (const { name, offset, size: bytes } of fields) {
        if (unnamed.has(name) || unnamed.has(`${struct}.${name}`) || struct === 'bpf_raw_tracepoint_args') continue;
        expect({ name, offset, size: bytes }).toEqual({ name, ...places.get(name) });
      }
    });
  },
);
