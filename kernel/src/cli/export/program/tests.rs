use super::*;

#[test]
fn code_of_files_is_inlined_and_what_needs_a_missing_one_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("größe.rs"),
        "fn size() -> u8 { 1 }\nlet a = 2;",
    )
    .unwrap();
    let cells = [
        "%%writefile made.rs\nfn made() -> u8 { 3 }",
        "%run größe.rs\n%run made.rs\nsize() + made() + a",
        "%run nowhere.rs\nlet b = other();",
        "fn g() -> u8 { other() }\nfn h() -> u8 { made() }",
        "println!(\"{b}\")",
        "g()",
        "h()",
    ];
    let program = Program::of(&cells.map(CodeCell::from), folder.path());
    let text = program.text();
    let why =
        |name: &str| format!("    // Left out, since the definition of `{name}` is left out:\n");
    for part in [
        "fn size() -> u8 { 1 }\n\nfn made() -> u8 { 3 }\n",
        "// %run größe.rs\nlet a = 2;\n    // %run made.rs\nshow(&(size() + made() + a));",
        &*format!(
            "// %run nowhere.rs\n{}    // let b = other();",
            why("other")
        ),
        &*format!("{}    // fn g() -> u8 {{ other() }}", why("other")),
        &*format!("{}    // println!(\"{{b}}\")", why("b")),
        &*format!("{}    // g()", why("g")),
        "show(&(h()));",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

fn program(cells: &[&str]) -> Program {
    let cells: Vec<CodeCell> = cells.iter().map(|cell| CodeCell::from(*cell)).collect();
    Program::of(&cells, Path::new(""))
}

#[test]
fn items_are_placed_outside_main_and_statements_in_it() {
    let program = program(&[
        ":dep rand = \"0.9\"\nuse rand::random;",
        "/// One.\nfn f() -> u32 { 1 }\n// the first\nlet a = f();",
        "fn f() -> u32 { 2 }\nlet b = a + f();\n// what comes of it\nb",
        "println!(\"{b}\")",
        "for _ in 0..2 { f(); }",
        "%%px\nlet id = 1;",
        "!ls\na",
    ]);
    assert_eq!(program.dependencies, ["rand = \"0.9\""]);
    assert_eq!(program.left_out, ["%%px", "!ls"]);
    let text = program.text();
    for part in [
        "use rand::random;\n",
        "/// One.\nfn f() -> u32 { 1 }\n",
        "// In [2]\n// the first\nlet a = f();\n",
        "for the rest of the program.\n    {\nfn f() -> u32 { 2 }\n\nlet b = a + f();\n// what comes of it\nshow(&(b));",
        "println!(\"{b}\");",
        "for _ in 0..2 { f(); };",
        "// %%px\n    // let id = 1;",
        "// !ls\nshow(&(a));",
        "fn main() -> Result<(), Box<dyn std::error::Error>> {",
        "fn show<T",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn code_that_needs_a_left_out_name_is_left_out_as_well() {
    let program = program(&[
        "%%px --noblock -o ar\n1",
        "let sum = ar.get()?;\nlet other = 2;\nother",
        "show(&ar)",
        "println!(\"{ar:?} {sum}\")",
        "println!(\"no ar, {}\", other.ar)",
        "let handle = %px --noblock 1;\nlet more = 1;",
        "handle.get()? + more",
        "let ar = 5;\nar",
        "%%px --local\nlet both = 3;",
        "both",
    ]);
    let text = program.text();
    let why = "// Left out, since the definition of `ar` is left out:\n";
    for part in [
        &*format!("{why}    // let sum = ar.get()?;\nlet other = 2;\nshow(&(other));"),
        &*format!("{why}    // show(&ar)\n"),
        &*format!("{why}    // println!(\"{{ar:?}} {{sum}}\")\n"),
        "println!(\"no ar, {}\", other.ar);",
        "// let handle = %px --noblock 1;\n    // let more = 1;\n",
        "// handle.get()? + more\n",
        "let ar = 5;\nshow(&(ar));",
        "// %%px --local\nlet both = 3;\n",
        "show(&(both));",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let left_out: Vec<&str> = program.left_out.iter().map(String::as_str).collect();
    assert_eq!(
        left_out[..2],
        ["%%px --noblock -o ar", "let sum = ar.get()?;"]
    );
}

#[test]
fn code_that_also_runs_here_is_kept_with_its_dependencies() {
    let program = program(&[
        "%%px --local\n:dep rand = \"0.9\"\nlet both = rand::random::<u8>();\nfn f() {}",
        "%px --local let k = 3;\nk + 1",
        "%px let there = 3;",
    ]);
    assert_eq!(program.dependencies, ["rand = \"0.9\""]);
    let text = program.text();
    for part in [
        "// %%px --local\nlet both = rand::random::<u8>();\n",
        "\nfn f() {}\n",
        "// %px --local let k = 3;\nlet k = 3;\nshow(&(k + 1));",
        "    // %px let there = 3;\n\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("dep rand"), "{text}");
}

#[test]
fn names_of_activated_magics_are_missing_and_items_are_not() {
    let text = program(&[
        "%pxactivate -t ::2 _even",
        "%%px_even --noblock -o ar\n1",
        "ar.get()?",
        "fn f() -> i32 { 1 }\nfn g() {\n%px 1\n}\nlet h = %px --noblock 1;",
        "f()",
        "g()",
        "fn g() {}\nf() + 1",
        "g();",
    ])
    .text();
    let needs = |name: &str| format!("the definition of `{name}` is left");
    for part in [
        &*format!("{} out:\n    // ar.get()?", needs("ar")),
        "fn f() -> i32 { 1 }\n",
        "show(&(f()));",
        &*format!("{} out:\n    // g()\n", needs("g")),
        "\nfn g() {}\n",
        "show(&(f() + 1));",
        "\ng();\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn an_exported_program_awaits_futures_and_calls_the_notebooks_main() {
    let waiting = program(&["let a = async { f().await };\na.await"]);
    assert!(waiting.text().contains("#[tokio::main]\nasync fn main()"));
    assert!(!program(&["let a = async { f().await };"]).awaits());
    let with_main = program(&["fn main() { println!(\"x\") }"]).text();
    assert!(with_main.contains("fn notebook_main() {"), "{with_main}");
    assert!(with_main.contains("    notebook_main();\n"), "{with_main}");
}

#[track_caller]
fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn cells_that_autopx_sends_to_engines_are_left_out() {
    let program = program(&[
        "%pxactivate -t 0 0\n%px let id = 1;",
        "let a = 1;\n!ls\n%autopx",
        "let squares = id * id;\nprintln!(\"{squares}\");",
        ":dep rand = \"0.9\"\n%prof let here = 3;",
        ":time let late = 4;",
        "%%px --local\nlet both = 5;",
        "%autopx0\nlet squares = 2;",
        "squares + a + here + late + both",
    ]);
    assert_eq!(program.dependencies, ["rand = \"0.9\""]);
    assert_parts(
        &program.text(),
        &[
            "let a = 1;\n    // !ls\n    // %autopx\n",
            "// In [3]\n    // let squares = id * id;\n    // println!(\"{squares}\");\n\n",
            "    // %prof let here = 3;\nlet here = 3;\n",
            "    // :time let late = 4;\nlet late = 4;\n",
            "    // %%px --local\nlet both = 5;\n",
            "    // %autopx0\nlet squares = 2;\n",
            "show(&(squares + a + here + late + both));",
        ],
    );
}

#[test]
fn code_of_tools_runs_as_in_the_notebook() {
    let program = program(&[
        "%%prof\n:dep rand = \"0.9\"\nfn f(n: u64) -> u64 { n }\nlet longest = f(3);\nlongest",
        "%prof -t 0 let there = 1;",
        "longest",
        ":time let timed = f(longest)",
        "%timeit -n 5 f(timed)",
        "%%timeit let mut v = vec![timed];\nv.push(1);\nv.len()",
        "%%timeit -t 0\nthere",
    ]);
    assert_eq!(program.dependencies, ["rand = \"0.9\""]);
    assert_parts(
        &program.text(),
        &[
            "fn f(n: u64) -> u64 { n }\n",
            "    // %%prof\nlet longest = f(3);\nshow(&(longest));\n",
            "    // %prof -t 0 let there = 1;\n",
            "// In [3]\nshow(&(longest));",
            "let timed = f(longest);\n",
            "{ phalanx::__magic::timeit(Some(5), None, || {f(timed)\n}); };",
            "{let mut v = vec![timed]; phalanx::__magic::timeit(None, None, || {\nv.push(1);\nv.len()\n}); };",
            "    // %%timeit -t 0\n    // there\n",
        ],
    );
}

#[cfg(feature = "evcxr")]
#[test]
fn items_that_macros_make_are_placed_outside_main() {
    let program = program(&[
        "// one for each thread\nthread_local! { static T: u8 = 1; }",
        "macro_rules! mk { ($n:ident) => { fn $n() -> u8 { 3 } } }",
        "mk!(three)\n",
        "lazy_static::lazy_static! { static ref N: u8 = three(); };\nlet n = *N;",
        "fn f() -> u8 { T.with(|t| *t) + *N }\nf() + n",
        "thread_local! { static T: u8 = 2; }",
        "f()",
    ]);
    let text = program.text();
    let (items, body) = text.split_once("fn main()").unwrap();
    assert_parts(
        items,
        &[
            "// one for each thread\nthread_local! { static T: u8 = 1; }\n",
            "mk!(three);\n",
            "lazy_static::lazy_static! { static ref N: u8 = three(); }\n",
            "fn f() -> u8",
        ],
    );
    let macros = items.find("macro_rules! mk").unwrap();
    assert!(macros < items.find("mk!(three)").unwrap(), "{items}");
    assert_parts(
        body,
        &[
            "let n = *N;\n",
            "show(&(f() + n));",
            "// Cell 6 redefines `T` for the rest of the program.\n    {\n\
             thread_local! { static T: u8 = 2; }\n\nfn f() -> u8",
        ],
    );
    assert_eq!(body.matches("thread_local").count(), 1, "{body}");
}

#[test]
fn cells_that_are_to_fail_are_left_out_with_the_names_that_they_lack() {
    let cell = |source: &str, fails| CodeCell {
        source: source.to_owned(),
        fails,
    };
    let program = Program::of(
        &[
            cell("let k = 2;\nfn f() -> u8 { 1 }", false),
            cell(
                "let k = \"x\" + 1;\nlet new: u8 = \"x\".parse()?;\nfn g() -> u8 { 2 }",
                true,
            ),
            cell("fn h() -> u8 { g() }\nk", false),
            cell("new + h()", false),
        ],
        Path::new(""),
    );
    let text = program.text();
    assert_parts(
        &text,
        &[
            "    // Left out, since it fails in the notebook:\n    // let k = \"x\" + 1;\n    // let new",
            "    // Left out, since the definition of `g` is left out:\n    // fn h() -> u8 { g() }\n",
            "show(&(k));",
            "    // Left out, since the definition of `new` is left out:\n    // new + h()\n",
        ],
    );
}

#[test]
fn code_that_reaches_engines_is_left_out_with_what_it_changes() {
    let program = program(&[
        "use phalanx::prelude::*;\nlet rc = Cluster::builder().n(2).start_and_connect()?;",
        "let (mut tasks, mut sum) = (Vec::new(), 0);\nlet mut parts = Vec::new();\nlet mut own = Vec::new();",
        "for n in 0..4 {\n    parts.push(rc.view(n).apply_sync(|| 1)?);\n    sum += 1;\n}\nown.push(3);\nown",
        "println!(\"{sum}\");",
        "fn ids() -> Vec<u32> { phalanx::Client::connect().unwrap().ids() }\nfn name(rc: &Client) {}",
        "ids().len()",
        "let sum = 5;\nsum",
        "use web::Client;\nlet client = Client::new();\nlet other = web::Cluster::new();",
        "other",
    ]);
    assert_parts(
        &program.text(),
        &[
            "    // Left out, since `Cluster` needs the notebook's kernel:\n    // let rc",
            "    // Left out, since only code that is left out uses it:\n    // let mut parts = Vec::new();\n",
            "let mut own = Vec::new();\n",
            "    // Left out, since the definition of `rc` is left out:\n    // for n in 0..4 {\n",
            "own.push(3);\nshow(&(own));",
            "    // Left out, since the definition of `sum` is left out:\n    // println!",
            "    // Left out, since `Client` needs the notebook's kernel:\n    // fn ids()",
            "fn name(rc: &Client) {}\n",
            "    // Left out, since the definition of `ids` is left out:\n    // ids().len()\n",
            "let sum = 5;\nshow(&(sum));",
            "let client = Client::new();\n",
            "let other = web::Cluster::new();\n",
            "show(&(other));",
        ],
    );
}

#[test]
fn cells_mean_what_they_mean_in_the_notebook() {
    let program = program(&[
        "let done = false",
        "!done",
        "Planet::year?",
        "%%px?",
        "fn show(depth: usize) {}\nshow(1);",
        "println!(\"{}\", wait().await);",
        "phalanx::html(\"x\")?;",
    ]);
    assert_eq!(program.left_out, ["Planet::year?", "%%px?"]);
    assert!(program.awaits());
    assert!(program.mentions("phalanx") && !program.mentions("Planet"));
    assert_parts(
        &program.text(),
        &[
            "let done = false;\n",
            "show_value(&(!done));",
            "    // Planet::year?\n",
            "fn show(depth: usize) {}\n",
            "\nfn show_value<T",
        ],
    );
}

#[test]
fn code_that_left_out_code_only_reads_or_follows_is_kept() {
    let read = program(&[
        "use phalanx::prelude::*;",
        "let dv = Client::connect()?.all();\nlet mut data = vec![3.0, 1.0];\ndata.sort_by(f64::total_cmp);",
        "dv.scatter(\"data\", &data).wait()?;\nprintln!(\"{} {dv:?}\", data.len());",
        "let mean = data.iter().sum::<f64>() / 2.0;",
        "let made = simulate(1000);\ndv.push(\"made\", &made)?;",
    ])
    .text();
    for part in ["\nlet mean = data", "\nlet made = simulate(1000);"] {
        assert!(read.contains(part), "{part} in\n{read}");
    }
    assert!(!read.contains("\ndv.scatter"), "{read}");

    // Items are in scope above their place.
    let above = program(&[
        "use phalanx::prelude::*;",
        "fn run() { let rc = connect(); }\nlet n = connect();\nfn connect() -> Client { Client::connect().unwrap() }",
    ])
    .text();
    for part in ["\nfn run", "\nlet n", "\nfn connect"] {
        assert!(!above.contains(part), "{part} in\n{above}");
    }
}

#[test]
fn corrected_items_and_fields_with_the_name_of_a_left_out_item_are_kept() {
    let failed = CodeCell {
        fails: true,
        ..CodeCell::from("fn longest(a: &str, b: &str) -> &str { a }")
    };
    let corrected = "fn longest<'a>(a: &'a str, b: &'a str) -> &'a str { a }";
    let others = "struct Stats { longest: usize }\nfn half(longest: f64) -> u8 { 1 }";
    let cells = [
        failed,
        corrected.into(),
        others.into(),
        "longest(\"a\", \"b\")".into(),
    ];
    let text = Program::of(&cells, Path::new("/")).text();
    for part in [
        "\nfn longest<'a>",
        "\nstruct Stats",
        "\nfn half",
        "longest(\"a\", \"b\")));",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
