(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $loop-with-fuel (type 2) (param i64 i64) (result i64)
    (local i32 i64)
    (local.set 2
      (i32.load offset=12 align=1
        (global.get 0)))
    (block  ;; label = @1
      (local.set 3
        (i64.const 0))
      (loop  ;; label = @2
        (block  ;; label = @3
          (br_if 2 (;@1;)
            (i32.eqz
              (local.get 2)))
          (local.set 2
            (i32.sub
              (local.get 2)
              (i32.const 1)))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 3)
                (i64.const 100))))
          (local.set 3
            (i64.add
              (local.get 3)
              (local.get 0)))
          (br_if 1 (;@2;)
            (i64.lt_u
              (local.get 3)
              (i64.const 100)))
          (br 0 (;@3;)))
        (i32.store offset=12 align=1
          (global.get 0)
          (local.get 2))
        (return
          (local.get 3)))
      (unreachable))
    (i32.store offset=12 align=1
      (global.get 0)
      (local.get 2))
    (unreachable))
  (export "loop-with-fuel" (func 0))
  (export "loop-with-fuel:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
