(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $xdp-parse (type 0) (param i64) (result i64)
    (local i32 i32 i32 i32 i32 i32)
    (local.set 1
      (i32.wrap_i64
        (local.get 0)))
    (block  ;; label = @1
      (local.set 2
        (i32.const 1))
      (local.set 3
        (i32.load align=1
          (local.get 1)))
      (local.set 4
        (i32.load offset=4 align=1
          (local.get 1)))
      (local.set 5
        (local.get 3))
      (local.set 5
        (i32.add
          (local.get 5)
          (i32.const 34)))
      (br_if 0 (;@1;)
        (i32.gt_u
          (local.get 5)
          (local.get 4)))
      (local.set 6
        (i32.load16_u offset=12 align=1
          (local.get 3)))
      (br_if 0 (;@1;)
        (i32.ne
          (local.get 6)
          (i32.const 8)))
      (local.set 6
        (i32.load8_u offset=23
          (local.get 3)))
      (br_if 0 (;@1;)
        (i32.ne
          (local.get 6)
          (i32.const 17)))
      (local.set 2
        (i32.const 2))
      (br 0 (;@1;)))
    (return
      (i64.extend_i32_u
        (local.get 2)))
    (unreachable))
  (export "xdp-parse" (func 0))
  (export "xdp-parse:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
