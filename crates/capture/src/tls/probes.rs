//! Attaching the programs of `bpf/tls.bpf.c` to the functions of one library file.

use std::path::Path;

use libbpf_rs::{Link, MapCore, MapFlags, Object, UprobeOpts};

use super::libraries::Attach;
use crate::attachment::{self, Refused};
use crate::facts::Facts;
use crate::objects;

/// Elf files of 32-bit programs have their arguments elsewhere.
const ELF_64: [u8; 5] = [0x7f, b'E', b'L', b'F', 2];

/// A function of the library, and the program at its beginning; whether its end is of interest; and
/// whether nothing can be read without it.
struct Function {
    name: &'static str,
    program: &'static str,
    has_end: bool,
    must: bool,
}

const fn function(name: &'static str, program: &'static str) -> Function {
    Function { name, program, has_end: true, must: false }
}

/// OpenSSL 1.0.2 and newer, LibreSSL; the functions that end on `_ex` came with 1.1.1.
const FUNCTIONS: [Function; 8] = [
    Function { must: true, ..function("SSL_write", "on_tls_write") },
    Function { must: true, ..function("SSL_read", "on_tls_read") },
    function("SSL_write_ex", "on_tls_write_ex"),
    function("SSL_read_ex", "on_tls_read_ex"),
    function("SSL_do_handshake", "on_tls_handshake"),
    function("SSL_peek", "on_tls_peek"),
    function("SSL_peek_ex", "on_tls_peek"),
    Function { has_end: false, ..function("SSL_free", "on_tls_free") },
];

/// The loaded programs.
pub(crate) struct Probes {
    object: Object,
}

impl Probes {
    pub(crate) fn load(
        traffic: &Object,
        btf: Option<&Path>,
        facts: Facts,
    ) -> Result<Probes, Refused> {
        let load = || {
            let mut open = attachment::open(objects::TLS, btf, facts)?;
            attachment::share_maps(&mut open, traffic)?;
            open.load()
        };
        Ok(Probes { object: load().map_err(|error| Refused::new("", &error))? })
    }

    /// Whether socket calls are to be looked at for what they carry.
    fn set_probed(&self, is_probed: bool) {
        if let Ok(map) = attachment::find_map(&self.object, "tls_probed") {
            let value = u32::from(is_probed).to_ne_bytes();
            let _ = map.update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY);
        }
    }

    fn link(&self, program: &str, file: &Path, function: &str, end: bool) -> Result<Link, String> {
        let found = self.object.progs_mut().find(|it| it.name() == program);
        let found = found.ok_or_else(|| format!("there is no program {program}"))?;
        let opts = UprobeOpts {
            retprobe: end,
            func_name: Some(function.to_owned()),
            ..UprobeOpts::default()
        };
        // All processes that use the file.
        found.attach_uprobe_with_opts(-1, file, 0, opts).map_err(|error| format!("{error:#}"))
    }
}

impl Attach for Probes {
    type Probes = Vec<Link>;

    fn attach(&mut self, file: &Path) -> Result<(Vec<Link>, Vec<&'static str>), String> {
        is_readable(file)?;
        self.set_probed(true);
        let (mut links, mut names) = (Vec::new(), Vec::new());
        for Function { name, program, has_end, must } in FUNCTIONS {
            // The end comes first: a beginning without an end would be taken for a call that goes on.
            let end = match has_end {
                true => self.link("on_tls_end", file, name, true).map(Some),
                false => Ok(None),
            };
            let both = end.and_then(|end| Ok((end, self.link(program, file, name, false)?)));
            match both {
                Ok((end, beginning)) => {
                    links.push(beginning);
                    links.extend(end);
                    names.push(name);
                }
                Err(reason) if must => return Err(format!("{name}: {reason}")),
                Err(_) => {}
            }
        }
        Ok((links, names))
    }

    fn rest(&mut self) {
        self.set_probed(false);
    }
}

fn is_readable(file: &Path) -> Result<(), String> {
    use std::io::Read;

    let mut magic = [0; ELF_64.len()];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if magic == ELF_64 => Ok(()),
        Ok(()) => Err("no 64-bit ELF file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
