//! What an interpreter runs, from its command line.
//!
//! Command lines hold passwords. So only what must be a script, jar, class or module is taken: the
//! value of the flag that says so, or the first argument that is neither a flag nor the value of
//! one. The flags that take a value are therefore listed, per interpreter, from its own manual.

use compact_str::{CompactString, format_compact};

use crate::program::{Arguments, Program};
use crate::text::{NAME_LIMIT, clean, file_name};

/// How the command line of one interpreter is read, up to its script.
struct Syntax {
    /// Single-letter flags that bring the code itself, so that there is no script.
    code: &'static [u8],
    /// Single-letter flags whose value is the script or module.
    script: &'static [u8],
    /// Single-letter flags with a value, in the same argument or the next.
    value: &'static [u8],
    /// Single-letter flags with a value in the same argument, if any.
    attached: &'static [u8],
    /// Long flags that bring the code itself.
    long_code: &'static [&'static str],
    /// Long flags with a value in the next argument, unless given after `=`.
    long_value: &'static [&'static str],
}

/// `python3 --help`.
const PYTHON: Syntax = Syntax {
    code: b"c",
    script: b"m",
    value: b"WX",
    attached: b"",
    long_code: &[],
    long_value: &["--check-hash-based-pycs"],
};

/// `node --help`; Bun's are the same where they matter here.
const NODE: Syntax = Syntax {
    code: b"ep",
    script: b"",
    value: b"rC",
    attached: b"",
    long_code: &["--eval", "--print", "--test"],
    long_value: &[
        "--conditions",
        "--config",
        "--cwd",
        "--disable-warning",
        "--env-file",
        "--env-file-if-exists",
        "--experimental-loader",
        "--icu-data-dir",
        "--import",
        "--input-type",
        "--loader",
        "--openssl-config",
        "--preload",
        "--redirect-warnings",
        "--require",
        "--title",
        "--trace-event-categories",
    ],
};

/// `deno run --help`.
const DENO: Syntax = Syntax {
    code: b"",
    script: b"",
    value: b"L",
    attached: b"",
    long_code: &[],
    long_value: &[
        "--cert",
        "--config",
        "--host",
        "--import-map",
        "--location",
        "--lock",
        "--log-level",
        "--port",
        "--preload",
        "--seed",
    ],
};

/// `ruby --help`.
const RUBY: Syntax = Syntax {
    code: b"e",
    script: b"",
    value: b"CEIXr",
    attached: b"0FKTWix",
    long_code: &[],
    long_value: &[
        "--disable",
        "--enable",
        "--encoding",
        "--external-encoding",
        "--internal-encoding",
    ],
};

/// `perlrun(1)`.
const PERL: Syntax = Syntax {
    code: b"eE",
    script: b"",
    value: b"I",
    attached: b"0CDFMVdilmx",
    long_code: &[],
    long_value: &[],
};

/// `php --help`.
const PHP: Syntax = Syntax {
    code: b"BERr",
    script: b"fF",
    value: b"Scdtz",
    attached: b"",
    long_code: &["--run", "--process-code"],
    long_value: &["--define", "--docroot", "--php-ini", "--server", "--zend-extension"],
};

/// `bash(1)`, `dash(1)`, `zsh(1)`.
const SHELL: Syntax = Syntax {
    code: b"cs",
    script: b"",
    value: b"oO",
    attached: b"",
    long_code: &[],
    long_value: &["--init-file", "--rcfile"],
};

/// `java -help`, without `-jar`, `-m` and `--module`, whose values are wanted.
const JAVA_VALUES: &[&[u8]] = &[
    b"-cp",
    b"-classpath",
    b"--class-path",
    b"-p",
    b"--module-path",
    b"--upgrade-module-path",
    b"--add-modules",
    b"--add-exports",
    b"--add-opens",
    b"--add-reads",
    b"--enable-native-access",
    b"--illegal-native-access",
    b"--limit-modules",
    b"--patch-module",
    b"--source",
];

/// Names so common that only the folder tells one from another; without the file's extension.
const COMMON_STEMS: &[&[u8]] =
    &[b"__main__", b"app", b"index", b"main", b"manage", b"run", b"server", b"start"];

/// Folders that tell as little.
const COMMON_FOLDERS: &[&[u8]] =
    &[b"", b".", b"..", b"bin", b"build", b"dist", b"lib", b"out", b"src"];

/// The name of what `program` runs, when it is an interpreter and runs something with a name.
pub(crate) fn name(program: &Program<'_>) -> Option<CompactString> {
    let file = match file_name(program.executable) {
        b"" => program.title(),
        file => file,
    };
    let mut arguments = program.arguments();
    let first = arguments.next()?;
    // `python3.12`, `php-fpm8.2`
    let end = file.iter().rposition(|byte| !matches!(byte, b'0'..=b'9' | b'.'))? + 1;
    let language = file.get(..end)?;
    let language = if file == b"beam.smp" { file } else { language };
    if is_title(first, &arguments) && matches!(language, b"python" | b"pypy" | b"ruby" | b"node") {
        return title(program.title(), first);
    }
    match language {
        b"python" | b"pypy" => python(arguments),
        b"node" | b"nodejs" => Some(script_name(script(&mut arguments, &NODE)?)),
        b"bun" => subcommand_script(arguments, &NODE),
        b"deno" => subcommand_script(arguments, &DENO),
        b"java" => java(arguments),
        b"ruby" => Some(script_name(script(&mut arguments, &RUBY)?)),
        b"perl" => Some(script_name(script(&mut arguments, &PERL)?)),
        b"php" => Some(script_name(script(&mut arguments, &PHP)?)),
        b"php-fpm" => php_pool(first),
        b"ash" | b"bash" | b"dash" | b"ksh" | b"sh" | b"zsh" => {
            Some(script_name(script(&mut arguments, &SHELL)?))
        }
        b"dotnet" => dotnet(arguments),
        b"beam.smp" => erlang(arguments),
        _ => None,
    }
}

/// Whether a program has overwritten its arguments with one text for people to read.
fn is_title(first: &[u8], rest: &Arguments<'_>) -> bool {
    first.contains(&b' ') && rest.clone().next().is_none()
}

/// `gunicorn: worker [shop.wsgi]`, `puma 6.4.0 (tcp://0.0.0.0:80) [shop]`, `npm start`: the first
/// word, and the application where one is named in brackets. Nothing else: titles may hold anything.
fn title(word: &[u8], title: &[u8]) -> Option<CompactString> {
    let application = title
        .strip_suffix(b"]")
        .and_then(|title| title.rsplit(|byte| *byte == b'[').next())
        .filter(|application| is_module(application));
    match application {
        _ if word.is_empty() => None,
        Some(application) => Some(launched(word, application)),
        None => Some(clean(word, NAME_LIMIT)),
    }
}

/// The script that `syntax` says the arguments lead to; what follows it is left in them.
fn script<'a>(arguments: &mut Arguments<'a>, syntax: &Syntax) -> Option<&'a [u8]> {
    while let Some(argument) = arguments.next() {
        let letters = match argument {
            b"" | b"-" => return None,
            b"--" => return arguments.next().filter(|script| is_named(script)),
            [b'-', b'-', ..] => {
                if syntax.long_code.iter().any(|flag| is_flag(argument, flag)) {
                    return None;
                }
                if syntax.long_value.iter().any(|flag| argument == flag.as_bytes()) {
                    arguments.next();
                }
                continue;
            }
            [b'-' | b'+', letters @ ..] => letters,
            script => return Some(script).filter(|script| is_named(script)),
        };
        for (index, letter) in letters.iter().enumerate() {
            let rest = letters.get(index + 1..).unwrap_or_default();
            if syntax.code.contains(letter) {
                return None;
            }
            if syntax.script.contains(letter) {
                return if rest.is_empty() { arguments.next() } else { Some(rest) };
            }
            if syntax.value.contains(letter) && rest.is_empty() {
                arguments.next();
            }
            if syntax.value.contains(letter) || syntax.attached.contains(letter) {
                break;
            }
        }
    }
    None
}

/// Whether a script has a name of its own: not one that is piped in (`bash <(…)`, `sh /dev/stdin`).
fn is_named(script: &[u8]) -> bool {
    !script.is_empty() && !script.starts_with(b"/dev/") && !script.starts_with(b"/proc/")
}

/// `--flag` or `--flag=…`.
fn is_flag(argument: &[u8], flag: &str) -> bool {
    argument.strip_prefix(flag.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'=', ..]))
}

fn python(mut arguments: Arguments<'_>) -> Option<CompactString> {
    let script = script(&mut arguments, &PYTHON)?;
    let program = file_name(script);
    let application = match program {
        b"gunicorn" | b"uvicorn" | b"hypercorn" | b"daphne" | b"granian" | b"waitress-serve" => {
            positional_application(arguments)
        }
        b"celery" | b"flask" => flagged_application(arguments),
        _ => return Some(script_name(script)),
    };
    Some(match application {
        Some(application) => launched(program, application),
        None => clean(program, NAME_LIMIT),
    })
}

/// `shop.wsgi`, `shop.asgi:application`. An argument after a flag may be that flag's value, which
/// may be a secret, and does not count.
fn positional_application(arguments: Arguments<'_>) -> Option<&[u8]> {
    let mut after_flag = false;
    for argument in arguments {
        if argument.starts_with(b"-") {
            after_flag = !argument.contains(&b'=');
            continue;
        }
        let module = argument.split(|byte| *byte == b':').next().unwrap_or_default();
        if !after_flag && is_module(module) && (module != argument || module.contains(&b'.')) {
            return Some(module);
        }
        after_flag = false;
    }
    None
}

/// `-A shop`, `--app shop:create()`, `--app=shop`.
fn flagged_application(mut arguments: Arguments<'_>) -> Option<&[u8]> {
    while let Some(argument) = arguments.next() {
        let value = match argument {
            b"-A" | b"--app" => arguments.next()?,
            _ => match argument.strip_prefix(b"--app=") {
                Some(value) => value,
                None => continue,
            },
        };
        let module = value.split(|byte| *byte == b':').next()?;
        return Some(module).filter(|module| is_module(module));
    }
    None
}

/// Deno's and Bun's sub-commands come before the script, which its extension tells.
fn subcommand_script(mut arguments: Arguments<'_>, syntax: &Syntax) -> Option<CompactString> {
    const EXTENSIONS: &[&[u8]] = &[b"js", b"cjs", b"mjs", b"jsx", b"ts", b"cts", b"mts", b"tsx"];
    loop {
        let argument = script(&mut arguments, syntax)?;
        if argument == b"eval" {
            return None;
        }
        // Deno runs from the network too: addresses may hold credentials, their paths do not.
        let after_scheme = argument.windows(3).position(|part| part == b"://").map(|at| at + 3);
        let path = match after_scheme.and_then(|start| argument.get(start..)) {
            Some(rest) => rest.get(rest.iter().position(|byte| *byte == b'/')?..)?,
            None => argument,
        };
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next()?;
        if extension(path).is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            return Some(script_name(path));
        }
    }
}

fn java(mut arguments: Arguments<'_>) -> Option<CompactString> {
    while let Some(argument) = arguments.next() {
        match argument {
            b"-jar" => return arguments.next().map(script_name),
            b"-m" | b"--module" => return arguments.next().and_then(java_module),
            _ if JAVA_VALUES.contains(&argument) => {
                arguments.next();
            }
            // An argument file may hold the class; what is in it is not ours to read.
            [b'@' | b'-', ..] => match argument.strip_prefix(b"--module=") {
                Some(module) => return java_module(module),
                None => continue,
            },
            // A source file, run as it is.
            _ if extension(argument) == Some(b"java") => return Some(script_name(argument)),
            _ => return is_class(argument).then(|| clean(argument, NAME_LIMIT)),
        }
    }
    None
}

/// `module/class`, or the module alone.
fn java_module(module: &[u8]) -> Option<CompactString> {
    let class = file_name(module);
    is_class(class).then(|| clean(class, NAME_LIMIT))
}

/// `php-fpm: pool www`: the pool is what its administrator named.
fn php_pool(title: &[u8]) -> Option<CompactString> {
    let pool = title.strip_prefix(b"php-fpm: pool ")?.split(|byte| *byte == b' ').next()?;
    let pool = clean(pool, NAME_LIMIT);
    let name = format_compact!("php-fpm: pool {pool}");
    Some(clean(name.as_bytes(), NAME_LIMIT))
}

/// `dotnet shop.dll`, `dotnet exec --depsfile x shop.dll`.
fn dotnet(mut arguments: Arguments<'_>) -> Option<CompactString> {
    const VALUES: &[&[u8]] = &[
        b"--additional-deps",
        b"--additionalprobingpath",
        b"--depsfile",
        b"--fx-version",
        b"--roll-forward",
        b"--runtimeconfig",
    ];
    while let Some(argument) = arguments.next() {
        if VALUES.contains(&argument) {
            arguments.next();
        } else if extension(argument).is_some_and(|end| end.eq_ignore_ascii_case(b"dll")) {
            return Some(script_name(argument));
        } else if argument != b"exec" && !argument.starts_with(b"-") {
            // Another command of the tool, whose arguments are its own.
            return None;
        }
    }
    None
}

/// `-s rabbit boot`: the module that is started. Elixir starts all programs by the same.
fn erlang(mut arguments: Arguments<'_>) -> Option<CompactString> {
    while let Some(argument) = arguments.next() {
        if argument == b"-s" {
            let module = arguments.next()?;
            if module != b"elixir" && is_module(module) {
                return Some(clean(module, NAME_LIMIT));
            }
        }
    }
    None
}

/// The file's name; with its folder's before it where many files have that name.
fn script_name(path: &[u8]) -> CompactString {
    let mut components = path.rsplit(|byte| *byte == b'/').skip_while(|part| part.is_empty());
    let file = components.next().unwrap_or(path);
    let stem = match extension(file) {
        Some(extension) => file.get(..file.len() - extension.len() - 1).unwrap_or(file),
        None => file,
    };
    let folder = COMMON_STEMS
        .contains(&stem)
        .then(|| components.find(|folder| !COMMON_FOLDERS.contains(folder)))
        .flatten();
    match folder {
        Some(folder) => clean(&[folder, b"/", file].concat(), NAME_LIMIT),
        None => clean(file, NAME_LIMIT),
    }
}

/// A launcher and the application it was told to run.
fn launched(launcher: &[u8], application: &[u8]) -> CompactString {
    clean(&[launcher, b" ", application].concat(), NAME_LIMIT)
}

/// What stands after the last dot of the file's name, unless the name begins with it.
fn extension(path: &[u8]) -> Option<&[u8]> {
    let file = file_name(path);
    let dot = file.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    file.get(dot + 1..)
}

/// Dotted names, as modules have.
fn is_module(text: &[u8]) -> bool {
    is_class(text) && !text.contains(&b'$')
}

fn is_class(text: &[u8]) -> bool {
    text.first().is_some_and(|first| !first.is_ascii_digit())
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$'))
}

#[cfg(test)]
mod tests;
