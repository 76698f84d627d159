"""The certificate of an erasure as a document to file or to print."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from identity.erasure.pages import lines_of, title_of

_LINE = 5.5
_HEADING_WIDTH = 45.0


def certificate_pdf(claims: Mapping[str, Any], token: str) -> bytes:
    """Return a PDF of A4 pages; the same certificate gives the same document."""
    # Only who asks for a PDF waits for the library, and pays for its memory.
    from fpdf import FPDF  # noqa: PLC0415
    from fpdf.enums import WrapMode  # noqa: PLC0415

    pdf = FPDF(format="A4")
    title = title_of(claims)
    pdf.set_title(title)
    pdf.set_lang("en")
    pdf.set_creation_date(datetime.fromtimestamp(claims["iat"], UTC))
    pdf.add_page()
    pdf.set_font("helvetica", "B", 18)
    pdf.cell(0, 12, title, new_x="LMARGIN", new_y="NEXT")
    for name, lines in lines_of(claims):
        pdf.set_font("helvetica", "B", 10)
        pdf.cell(_HEADING_WIDTH, _LINE, name)
        pdf.set_font("helvetica", "", 10)
        left, pdf.l_margin = pdf.l_margin, pdf.get_x()
        for line in lines:
            pdf.multi_cell(0, _LINE, line, new_x="LMARGIN", new_y="NEXT")
        pdf.l_margin = left
        pdf.ln(1.5)
    pdf.set_x(pdf.l_margin)
    pdf.set_font("helvetica", "B", 10)
    pdf.cell(
        0, _LINE, "Signed: whoever has the published keys can check this.", new_x="LMARGIN", new_y="NEXT"
    )
    pdf.set_font("courier", "", 7)
    pdf.multi_cell(0, 3.2, token, wrapmode=WrapMode.CHAR, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())
