// Colours for magics and commands (`%%px`, `:dep`, `!ls`, `?x`) in the cells of Rust kernels.
//
// A prebuilt extension of JupyterLab 4 and Notebook 7, written by hand: the container that webpack's
// module federation expects, with one module. JupyterLab's own modules come from its share scope.
window._JUPYTERLAB = window._JUPYTERLAB || {};
(() => {
  'use strict';

  // The mime types of Rust: the kernel's, and JupyterLab's for `.rs` files.
  const RUST = new Set(['text/rust', 'text/x-rust', 'text/x-rustsrc']);
  // Magics with Rust code on the rest of the line.
  const WITH_RUST = /^%(px(?!(result|config|activate)$)\w*|timeit|prof)$/;
  // Cell magics with text other than Rust in the rest of the cell.
  const WITH_TEXT = /^%%(bash|writefile)$/;
  // A magic, a command of evcxr, a line for the shell, or a question.
  const DIRECTIVE = /^\s*(%%?[A-Za-z]\w*|:[a-z]\w*|!(?=\s*[\w.~/$])|\?{1,2}(?=[\w:%]))/;

  let scope;

  /** Returns a module that JupyterLab shares. */
  async function shared(name) {
    const versions = Object.values(scope[name]);
    const version = versions.find(version => version.loaded) ?? versions[0];
    return (await version.get())();
  }

  /** Returns the match of the directive at the start of a line, or null. */
  function directive(text) {
    // `!ready` alone may be an expression, and is coloured as Rust.
    return /^\s*!\w+;?\s*$/.test(text) ? null : DIRECTIVE.exec(text);
  }

  async function extension() {
    const [codemirror, view, state] = await Promise.all([
      shared('@jupyterlab/codemirror'),
      shared('@codemirror/view'),
      shared('@codemirror/state')
    ]);
    const name = view.Decoration.mark({ class: 'cm-phalanx-directive' });
    const plain = view.Decoration.mark({ class: 'cm-phalanx-plain' });

    function decorations(doc) {
      const marks = new state.RangeSetBuilder();
      let isText = false;
      for (let number = 1; number <= doc.lines; number++) {
        const { from, to, text } = doc.line(number);
        const found = isText ? null : directive(text);
        const [indented, word] = found ?? ['', ''];
        const end = from + indented.length;
        if (word) {
          marks.add(end - word.length, end, name);
        }
        if ((isText || (word && !WITH_RUST.test(word))) && end < to) {
          marks.add(end, to, plain);
        }
        isText ||= WITH_TEXT.test(word);
      }
      return marks.finish();
    }

    const theme = view.EditorView.baseTheme({
      '.cm-phalanx-directive, .cm-phalanx-directive span': {
        color: 'var(--jp-mirror-editor-operator-color, #8250df) !important',
        fontWeight: 'bold'
      },
      '.cm-phalanx-plain, .cm-phalanx-plain span': {
        color: 'var(--jp-mirror-editor-variable-color, inherit) !important',
        fontWeight: 'normal',
        fontStyle: 'normal'
      }
    });

    /** The colours of an editor whose model has a Rust mime type, which may change at any time. */
    function colours(model) {
      return view.ViewPlugin.define(
        editor => ({
          decorations: RUST.has(model.mimeType) ? decorations(editor.state.doc) : view.Decoration.none,
          update(update) {
            this.decorations = RUST.has(model.mimeType)
              ? update.docChanged || this.decorations === view.Decoration.none
                ? decorations(update.state.doc)
                : this.decorations
              : view.Decoration.none;
          }
        }),
        { decorations: plugin => plugin.decorations }
      );
    }

    return {
      id: 'phalanx:magics',
      description: 'Colours magics and commands in the cells of Rust kernels.',
      autoStart: true,
      requires: [codemirror.IEditorExtensionRegistry],
      activate: (app, registry) => {
        registry.addExtension({
          name: 'phalanx-magics',
          factory: ({ model }) =>
            codemirror.EditorExtensionRegistry.createImmutableExtension([theme, colours(model)])
        });
      }
    };
  }

  window._JUPYTERLAB.phalanx = {
    init(shareScope) {
      scope = shareScope;
    },
    async get() {
      const exports = { __esModule: true, default: await extension() };
      return () => exports;
    }
  };
})();
