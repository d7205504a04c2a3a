//! What is in a WebAssembly file: its functions with their names and sizes. Renames imports.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ImportSection, RawSection};
use wasmparser::{Import, KnownCustom, Name, Parser, Payload, TypeRef};

/// A function that a file defines.
pub(crate) struct Function {
    /// As the compiler calls it; empty if it has none.
    pub(crate) name: String,
    /// How many bytes its code takes.
    pub(crate) size: usize,
}

/// All functions that the file defines. Their names are there until wasm-opt drops them.
pub(crate) fn functions(bytes: &[u8]) -> Result<Vec<Function>> {
    let mut names = HashMap::new();
    let mut sizes = Vec::new();
    for payload in payloads(bytes)? {
        match payload {
            Payload::CodeSectionEntry(body) => sizes.push(body.as_bytes().len()),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(subsections) = section.as_known() {
                    for subsection in subsections {
                        if let Name::Function(functions) = subsection? {
                            for naming in functions {
                                let naming = naming?;
                                names.insert(naming.index, naming.name.to_owned());
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    if sizes.is_empty() {
        bail!("there is no code in it");
    }
    // Indices count what is imported first.
    let imported = u32::try_from(imported_functions(bytes)?.len())?;
    let functions = sizes.into_iter().zip(imported..).map(|(size, index)| {
        let name = names.remove(&index).unwrap_or_default();
        Function { name, size }
    });
    Ok(functions.collect())
}

/// The names of all functions that the file wants to be given.
pub(crate) fn imported_functions(bytes: &[u8]) -> Result<Vec<&str>> {
    let mut names = Vec::new();
    for payload in payloads(bytes)? {
        if let Payload::ImportSection(section) = payload {
            for import in section.into_imports() {
                let import = import?;
                if matches!(import.ty, TypeRef::Func(_)) {
                    names.push(import.name);
                }
            }
        }
    }
    Ok(names)
}

/// The file with other names for what it wants to be given. Whatever is not named stays.
pub(crate) fn with_imports(bytes: &[u8], renamed: &HashMap<String, String>) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in payloads(bytes)? {
        if let Payload::ImportSection(section) = payload {
            let mut imports = ImportSection::new();
            for import in section.into_imports() {
                let Import { module, name, ty } = import?;
                let name = renamed.get(name).map_or(name, String::as_str);
                imports.import(module, name, RoundtripReencoder.entity_type(ty)?);
            }
            module.section(&imports);
        } else if let Some((id, content)) = payload.as_section() {
            let content = usize::try_from(content.start)?..usize::try_from(content.end)?;
            let data = bytes.get(content).context("a section is cut off")?;
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

fn payloads(bytes: &[u8]) -> Result<Vec<Payload<'_>>> {
    Parser::new(0)
        .parse_all(bytes)
        .collect::<Result<_, _>>()
        .context("this is not a WebAssembly file")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One imported function, two of its own: `keep` returns 7, `drop` returns 8.
    fn module() -> Vec<u8> {
        let mut file = b"\0asm\x01\0\0\0".to_vec();
        // A type without parameters that returns an i32; an import `a.b` of it; two functions of it.
        file.extend([1, 5, 1, 0x60, 0, 1, 0x7f]);
        file.extend([2, 7, 1, 1, b'a', 1, b'b', 0, 0]);
        file.extend([3, 3, 2, 0, 0]);
        file.extend([10, 11, 2, 4, 0, 0x41, 7, 0x0b, 4, 0, 0x41, 8, 0x0b]);
        file.extend([0, 20, 4]);
        file.extend(b"name");
        file.extend([1, 13, 2, 1, 4]);
        file.extend(b"keep");
        file.extend([2, 4]);
        file.extend(b"drop");
        file
    }

    #[test]
    fn functions_have_the_names_of_the_name_section() -> Result<()> {
        let functions = functions(&module())?;
        let names: Vec<_> = functions
            .iter()
            .map(|function| (function.name.as_str(), function.size))
            .collect();
        assert_eq!(names, [("keep", 4), ("drop", 4)]);
        Ok(())
    }

    #[test]
    fn an_import_gets_another_name_and_the_rest_stays() -> Result<()> {
        let file = module();
        let renamed = HashMap::from([("b".to_owned(), "other".to_owned())]);
        let renamed = with_imports(&file, &renamed)?;
        assert_eq!(renamed.len(), file.len() + 4);
        assert_eq!(imported_functions(&renamed)?, ["other"]);
        assert_eq!(functions(&renamed)?[0].name, "keep");
        Ok(())
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let file = module();
        assert!(functions(&file[..30]).is_err());
        assert!(functions(b"<!doctype html>").is_err());
    }
}
