import { describe, expect, it } from 'vitest';
import { bpfRefusal, kernelFeatures, kernelHelpers, lacksHelper, lacksProgramType } from './features.ts';
import { parseOptions, versionCode } from './kconfig.ts';

const refusal = bpfRefusal();

describe('kernel configuration', () => {
  it('reads options and versions', () => {
    const text = '# CONFIG_OFF is not set\nCONFIG_HZ=250\nCONFIG_BPF=y\nCONFIG_LSM="a,\\"b\\""\n';
    expect(parseOptions(text)).toEqual({ CONFIG_HZ: '250', CONFIG_BPF: 'y', CONFIG_LSM: 'a,"b"' });
    expect(versionCode('6.18.44-fc-v669')).toBe(0x06122c);
    expect(versionCode('5.4.300')).toBe(0x0504ff);
    expect(() => versionCode('plan9')).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_VERSION' }));
  });
});

describe.skipIf(refusal !== undefined)(
  `kernel features${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    const features = refusal === undefined ? kernelFeatures() : undefined;

    it('knows the types that every kernel with BPF has', () => {
      expect(features?.programTypes).toEqual(expect.arrayContaining(['socket_filter', 'sched_cls', 'xdp', 'kprobe']));
      expect(features?.mapTypes).toEqual(
        expect.arrayContaining(['hash', 'array', 'percpu_array', 'lru_hash', 'lpm_trie']),
      );
      expect(features?.cpus).toBeGreaterThan(0);
      expect(['on', 'off', 'debug', 'unknown']).toContain(features?.jit);
    });

    it('says of a type that loads that the kernel has it', () => {
      expect(lacksProgramType('xdp')).toBe(false);
    });

    it('keeps apart what is refused and what is not known', () => {
      for (const [type, errno] of Object.entries(features?.refusedProgramTypes ?? {})) {
        expect(features?.programTypes).not.toContain(type);
        expect(errno).not.toBe('EINVAL');
      }
    });

    it('tells which helpers a program type may call', () => {
      const xdp = kernelHelpers('xdp');
      expect(xdp).toEqual(expect.arrayContaining(['bpf_map_lookup_elem', 'bpf_tail_call', 'bpf_xdp_adjust_head']));
      expect(xdp).not.toContain('bpf_skb_store_bytes');
      expect(xdp).not.toContain('bpf_override_return');
      expect(lacksHelper('xdp', 'override_return')).toBe(true);
      expect(lacksHelper('xdp', 'map_lookup_elem')).toBe(false);
      const classifier = kernelHelpers('sched_cls');
      expect(classifier).toContain('bpf_skb_store_bytes');
      expect(classifier).not.toContain('bpf_xdp_adjust_head');
    });
  },
);
