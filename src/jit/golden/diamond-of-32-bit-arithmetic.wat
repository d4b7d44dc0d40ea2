(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $diamond-of-32-bit-arithmetic (type 2) (param i64 i64) (result i64)
    (local i32 i32)
    (local.set 2
      (i32.wrap_i64
        (local.get 0)))
    (block  ;; label = @1
      (local.set 3
        (local.get 2))
      (if  ;; label = @2
        (i32.gt_u
          (local.get 3)
          (i32.const 10))
        (then
          (local.set 3
            (i32.shr_u
              (local.get 3)
              (i32.const 1)))
          (br 1 (;@1;))))
      (local.set 3
        (i32.mul
          (local.get 3)
          (i32.const 3)))
      (br 0 (;@1;)))
    (local.set 3
      (i32.add
        (local.get 3)
        (i32.const 1)))
    (return
      (i64.extend_i32_u
        (local.get 3)))
    (unreachable))
  (export "diamond-of-32-bit-arithmetic" (func 0))
  (export "diamond-of-32-bit-arithmetic:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
