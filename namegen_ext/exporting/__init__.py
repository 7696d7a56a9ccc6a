"""Models that travel: one file that draws the same names wherever it is opened.

- The document, a JSON object that docs/format.md describes: document.py (what it holds), model_documents.py (each kind
  of model in it), list_document.py (the names of the list), json_arrays.py (arrays as text).
- What embeds it: web_bundle.py (one ES module of the files in web/), web_page.py (one HTML page), packing.py (the
  document in few characters).
- What other programs run: onnx_file.py and pt2_file.py, made of next_logits.py.
- export_model.py chooses among them and writes the file.
"""
