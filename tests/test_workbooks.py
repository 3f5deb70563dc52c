"""Workbooks: a cell becomes the text of what it holds, or is refused; no file takes the run with it."""

from __future__ import annotations

import base64
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDERS, Lake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_readers import XLSX, refusal, rejects, values, workbook

from src.bronze import readers
from src.bronze.readers import xlsx
from src.bronze.workbooks import cell_text
from src.engine import DuckEngine

# Old workbooks that nothing here writes, packed: 5 KB each.
# every kind of cell; its first sheet is hidden
OLD = (
    "c-rk)O-NKx6h8OOd-LAR_%k#9kOspfWM#UDHX+#4uyiwGN%T)@GmxmG3{ljgEOQe?L5nEb2o|)l+E`IRwQ3<4MF>GK7PM&<B(+dq"
    "=bU%Pbb5jVB`EKE+;i_e_k8c(IrrS3d2c5|>ETD^Q;>z7;DI^I2i^rbfytMt1OeMEi;9`tz+|~tRqz=&kzNg+<&Wz$hcw?)puj`*"
    "6-t25n2tg}wDctt(G|ol9z%zqG1LhaV^4uQm<phb#}#IIf@KlQ2W<PCWj$-IvaCbfv^WeCW=qu$8OH~e3T`VvDc~`4KC)&Tl)xK`"
    ";|te?ZL2{;s;i@C%{N5UJQx8Cf~G_=k)rxKxQo7pLx`GKtfsLs+T2_li`BNZMbrS?qgXj|@>p$eZyJiRG6K_96yQf@hj<xv^((6v"
    "fcjsH_4*Qe11Hx>@5AJz_v3_T>u)G3zyMh7f|k(`1mKEF5#@oto;X$08X0;ZnK(0p3s>a|&_e5qWAvTI=Kh|JuB4w%7T$@1i*}-X"
    "UY~g=<50-u5U<i84u9tU_jj?*R`WP(2Ke-`&!~+wEU@4rF_2s^-(t%uW^847iQl@O%jGPKaY0~S*;*nCdj{F&GPhP@Kie7a%}oo+"
    "o3T9fZSRxF&=+$HmPebW&J~YNn!`|mE{!9fo<XP<)#COo!c#Mo3%Q$pVp;ar&Soe<Id)4P#Dy>melCXW(^?6`7@6YE_XjKCRr@}m"
    "tYWV!OM2C=k#~f&7g_e_6+i1j>{k!^M6msS#s`x)iUUVsj$d-@8MyX(+8Ug^*+3kR1INQ0^17xNSR;-u$Xa!<R@pi%d!X|(41uxs"
    "K+}e=^~BK}I2v<GB}YR}k&L8q{w3Zl&I^2}mpSD;!#@Rii!61Ax9e;fk>l5;U&-2Vur}DbLe7FQAEO-U;1uaDT)1%I!i9_FLde@2"
    "-7e_PpvgO;F2C!{Vw!V5ldM_ngFbvt;UBx*ki<L%XLE|5QqV-^U1FJ>%=bdV0qi{m-O$P7=*~HQ@s2MR{+?wMga2*`<=X#TF5~>q"
    "{r?6ITq;!"
)
# a formula cut short, over which the library panics
PANIC = (
    "c-rk)O=uHA6#izDG(WUy5>p`+LMT|Z_9A-l(ry*BCrkCBh@h#-p|qqDMbLv*YmS28N%2zX#Y?ppf6#;8JO~v%2!fF4(UYLyq0RQq"
    "msv@xhX%A%nQxhI-oANnXLjG4*`0l}n5@n&bl0#3g9xDRMbXxzQ&OV-NdnUDd0O=Ah!oG_pF%Vufou!mS;y<Jj-ifs4Gta#UkU@C"
    "q@2Pzj7*h^xedfYjv=q~7zTtD?ujOj3`dnBpCxZ0KcMAv@(?vQ$pd0rRVT6Nj`Zy}S$x9jVOt#fx{vAefto$&!YiG{S8u6?Z3qX-"
    "<N3+W*^mvkV-6Cx;bN&+&QDg6mH^J-yO#sL`7`xJ&gwT-uORv#tM%dE=x;kgU>e>TCU`{_*M&eMz~`5cWJa1YUXaLNjOhiK6E?AG"
    "!ger`+l340q}*^$$dbHt|LfZ$W25eAYNokJH<t44x_5ZErai<t&KBn<_mOv#uk)(gD0h?7l7v$Cj&>R0@C<Eku(enE*-N~0cQna6"
    "MXr1~`XpQV?CuhIez<lyJ^$XFMUUKlLHzYGgMQVo?%vUO>iV@Z)BYnl^UD$taS~?io_Sw&Vi_@tNpj;%KOJT4)f)RNPK>%FvV67~"
    "jwcC*1)ebsK<!HnIw?Hj(;8}eN5)`bVPRomVPRomv3a4)$G-l+)!TuP*;0hff1PD1b^Dv-zr`_3$#Fq8riW0Hx{OOL<<C}xlz%O?"
    "P9Oh&p~i9Py^INraU2sZ=dWxDRrCF<+cELyrckT>*IOCqU+#YehqSzG"
)
# two cells, the second in the last place of a sheet, which is laid out whole
FAR = (
    "c-p&gUhu)fjZzO8(10BSGsD0CoD6J8VvIn{3F8Pb0OkMx2QgtZ2N3@s1w#sOasVTejg?_H?-_Pb9D?HeAp;Y`29|?Bl7Zn75XUeS"
    "F!<%?r7F-7IDy@e$Ov+SEs$hnm;)5yV~_;9N(f9QgGpg9xgM-?514cSi}Zp?TcFwpj8P2d?ftYYps6^5NeL{+#{e>SJ6O*xu!tdp"
    "D8mU*Dz2Zv2vN(*;8>KIm@_yf<XCtZmM{S0%{?_QwJ0&?0fPuI0+%p+{jb2l@CBAr4=9X^(^s640Vw_hRh%7*_+%y)28ITP{|Vp("
    "-U=*SH!?#axcCo)AUH)rab^lI<}0{B1u!_n3ZP_IUT{L@0g@>U{9rajvjDJ2{<HGqCEug~`*^TO1Gtce6y>TQ+Zp~dG=g*hHS-}A"
    "^B_VCtV0`2Hi1o*2D7EWqzEt(0%^4XQ7FT$8LXxSEUN~z#~2JQ+p8n7HGu5a*MU3aS|8hM0@>@_A6AL1yKcXbK?&&l6rg?(Y-Z45"
    ")M1=869jhJ!)Qimw!aG|B{7Ns4kiJp`~O2d!q4!RfeXwO1d|{YjA$zAn7F`Vg5Zz@sQ_1IjHqUSYB)i#Iy)vIhHW70fW-^~a50R6"
    "Q7{Td!6+C7qhJ(_f>AI803)=I0qS>vx&y4xE(JSuT<0$k{~H}98MYvZAs+}!fE`m;hCCo$#8636`VnJbWrUf<NTeRvcp(Uc18py2"
    "$Yw|ayCa+A^b70~G9vqjXpI8Y%R;2u|Bn=R(%60gaZ11W"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
FORMATS = ("General", "0.00", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "h:mm", "[h]:mm:ss", '0.0 "days"', "[Red]0;[Blue]d")


def unpacked(packed: str) -> bytes:
    return zlib.decompress(base64.b85decode(packed))


def book(path: Path, rows: str, *, strings: str = "", settings: str = "", head: str = "") -> Path:
    """A workbook of one sheet, in the XML that its file holds; style 1 is the second of FORMATS, and so on."""
    codes = "".join(
        f'<x:numFmt numFmtId="{number}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for number, code in enumerate(FORMATS, 164)
    )
    styles = "".join(f'<x:xf numFmtId="{number}"/>' for number, _ in enumerate(FORMATS, 164)) + '<x:xf numFmtId="45"/>'
    parts = {
        "_rels/.rels": f'<R xmlns="r"><a Id="1" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></R>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}">{settings}'
        '<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<R><a Id="rId1" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<a Id="rId2" Type="{LINKS}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        f'<a Id="rId3" Type="{LINKS}/styles" Target="styles.xml"/></R>',
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/styles.xml": f'<x:s xmlns:x="{MAIN}"><x:numFmts>{codes}</x:numFmts><x:cellXfs>{styles}</x:cellXfs></x:s>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>v</t></is></c></row>'
CELLS = [
    ('<c r="A2"><v>99999999.99</v></c>', "99999999.99"),
    ('<c r="A2"><v>0.33333333333333331</v></c>', "0.3333333333333333"),
    ('<c r="A2"><v>7.3099999999999996E-10</v></c>', "7.31e-10"),
    ('<c r="A2"><v>12</v></c>', "12"),
    ('<c r="A2"><v>12.0</v></c>', "12"),
    ('<c r="A2"><v>1E+20</v></c>', "100000000000000000000"),
    ('<c r="A2"><v>1E+21</v></c>', "1e+21"),
    ('<c r="A2"><v>9007199254740993</v></c>', "9007199254740993"),  # a double would be ...992
    ('<c r="A2"><v>0.1234567890123456789</v></c>', "0.1234567890123456789"),
    ('<c r="A2"><v>1E-400</v></c>', "1E-400"),
    ('<c r="A2" t="b"><v>1</v></c>', "true"),
    ('<c r="A2" t="b"><v>0</v></c>', "false"),
    ('<c r="A2" t="e"><v>#N/A</v></c>', "#N/A"),
    ('<c r="A2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!"),
    ('<c r="A2" t="s"><v>0</v></c>', " two  runs"),
    ('<c r="A2" t="s"><v>1</v></c>', "a\r\nb_x000D_"),
    ('<c r="A2" t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>', "inline"),
    ('<c r="A2" t="str"><f>A1&amp;"x"</f><v>vx</v></c>', "vx"),
    ('<c r="A2" t="d"><v>2024-01-31T05:17:00</v></c>', "2024-01-31 05:17:00"),
    ('<c r="A2" s="1"><v>45322</v></c>', "45322"),
    ('<c r="A2" s="2"><v>45322</v></c>', "2024-01-31"),
    ('<c r="A2" s="2"><v>45322.25</v></c>', "2024-01-31 06:00:00"),
    ('<c r="A2" s="3"><v>45322</v></c>', "2024-01-31 00:00:00"),
    ('<c r="A2" s="3"><v>45322.220138888886</v></c>', "2024-01-31 05:17:00"),
    ('<c r="A2" s="3"><v>40461.423726851797</v></c>', "2010-10-10 10:10:10"),
    ('<c r="A2" s="3"><v>2</v></c>', "1900-01-02 00:00:00"),
    ('<c r="A2" s="2"><v>60</v></c>', "1900-02-29"),
    ('<c r="A2" s="2"><v>-1</v></c>', "-1"),
    ('<c r="A2" s="2"><v>2958466</v></c>', "2958466"),
    ('<c r="A2" s="4"><v>0.22013888888888888</v></c>', "05:17"),
    ('<c r="A2" s="4"><v>0.2204861689814815</v></c>', "05:17:30.005"),
    ('<c r="A2" s="4"><v>45322.5</v></c>', "2024-01-31 12:00:00"),
    ('<c r="A2" s="8"><v>0.5</v></c>', "12:00"),
    ('<c r="A2" s="5"><v>1.25</v></c>', "30:00"),
    ('<c r="A2" s="5"><v>-0.0625</v></c>', "-01:30"),
    ('<c r="A2" s="5"><v>0.75000000000363798</v></c>', "18:00"),  # noise of a difference of two moments
    ('<c r="A2" s="6"><v>1.5</v></c>', "1.5"),
    ('<c r="A2" s="7"><v>1.5</v></c>', "1.5"),
]
STRINGS = (
    '<si><r><t xml:space="preserve"> two </t></r><r><t xml:space="preserve"> runs</t></r><rPh><t>aid</t></rPh></si>'
    "<si><t>a_x000D_\nb_x005F_x000D_</t></si>"
)


@pytest.mark.parametrize(("cell", "text"), CELLS, ids=range(len(CELLS)))
def test_a_cell_is_the_text_of_what_it_holds(engine: DuckEngine, tmp_path: Path, cell: str, text: str) -> None:
    path = book(tmp_path / "1.xlsx", f'{HEADER}<row r="2">{cell}</row>', strings=STRINGS)
    assert values(engine, XLSX, path) == [(text,)]


def test_days_are_counted_from_1904_where_the_workbook_says_so(engine: DuckEngine, tmp_path: Path) -> None:
    rows = HEADER + '<row r="2"><c r="A2" s="2"><v>0</v></c></row><row r="3"><c r="A3" s="2"><v>43860</v></c></row>'
    path = book(tmp_path / "1.xlsx", rows, settings='<workbookPr date1904="1"/>')
    assert values(engine, XLSX, path) == [("1904-01-01",), ("2024-01-31",)]


@pytest.mark.parametrize("cell", ["<f>2*3</f>", "<f>2*3</f><v/>", "<f>2*3</f><v></v>"])
def test_a_formula_without_a_stored_value_is_no_empty_cell(engine: DuckEngine, tmp_path: Path, cell: str) -> None:
    good = '<row r="3"><c r="A3" t="str"><f>""</f><v></v></c><c r="B3"><v>3</v></c></row>'
    header = '<row r="1"><c r="A1" t="str"><v>v</v></c><c r="B1" t="str"><v>k</v></c></row>'
    path = book(tmp_path / "1.xlsx", f'{header}<row r="2"><c r="A2">{cell}</c><c r="B2"><v>2</v></c></row>{good}')
    assert rejects(engine, XLSX, path) == [
        (None, None, 1, "A2: =2*3 has no stored value", "=2*3\t2"),
        ("", "3", 2, None, None),
    ]
    path = book(tmp_path / "2.xlsx", f'<row r="1"><c r="A1">{cell}</c></row>')
    assert refusal(engine, XLSX, path) == "the header A1 is a formula without a stored value"


def test_rows_behind_one_that_needs_the_parser_are_read_once(engine: DuckEngine, tmp_path: Path) -> None:
    plain = '<row r="{0}" spans="1:1"><c r="A{0}"><v>{0}</v></c></row>'
    rows = '<row r="1"><c r="A1" t="s"><v>1</v></c></row>' + plain.format(2) + '<row r="3"/>' + plain.format(4)
    other = '<row r="5"><c r="A5" t="inlineStr"><is><t>5</t></is></c></row>'
    path = book(tmp_path / "1.xlsx", rows + other + plain.format(6), strings="<si/><si><t>v</t></si>")
    assert values(engine, XLSX, path) == [("2",), ("4",), ("5",), ("6",)]
    many = "".join(plain.format(number) for number in range(2, 40_000))  # more than one block
    path = book(tmp_path / "2.xlsx", rows[:45] + many, strings="<si/><si><t>v</t></si>")
    assert values(engine, XLSX, path) == [(str(number),) for number in range(2, 40_000)]


def test_a_cell_far_out_costs_nothing_and_one_beside_the_header_its_row(engine: DuckEngine, tmp_path: Path) -> None:
    row = '<row r="2"><c r="A2"><v>1</v></c><c r="C2" t="str"><v> </v></c></row>'
    far = '<row r="1048576"><c r="XFD1048576" t="str"><v>{}</v></c></row>'
    path = book(tmp_path / "1.xlsx", HEADER + row + far.format(" "))
    assert values(engine, XLSX, path) == [("1",)]
    path = book(tmp_path / "2.xlsx", HEADER + row + far.format("x"))
    assert rejects(engine, XLSX, path)[1:] == [
        (None, 2, "XFD1048576 has a value, but its column has no name", "x"),
    ]
    path = book(tmp_path / "3.xlsx", f'{HEADER}<row r="2"><c r="B2"><v>1</v></c></row>')
    assert refusal(engine, XLSX, path) == 'B2 has a value, but no name above it in row 1; the header is ["v"]'


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('<row r="1"><c r="A1" t="s"><v>9</v></c></row>', "cell A1 holds"),
        ('<row r="1"><c r="A1"><v>1_0</v></c></row>', "cell A1 holds not a number: '1_0'"),
        ('<row r="1"><c r="A1" s="2"><v>NaN</v></c></row>', "cell A1 holds not a number: 'NaN'"),
        ('<row r="2"><c r="A2"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>', "row 1 comes after row 2"),
        ('<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>', "cell A1 comes after column 2"),
        ('<row r="1"><c r="!1"><v>1</v></c></row>', "no column is called"),
        ('<row r="1"><c r="A1"><v>1</v></row>', "mismatched tag"),
    ],
)
def test_a_damaged_sheet_is_refused(engine: DuckEngine, tmp_path: Path, rows: str, reason: str) -> None:
    assert reason in refusal(engine, XLSX, book(tmp_path / "1.xlsx", rows))


def test_a_text_that_is_none_costs_its_row(engine: DuckEngine, tmp_path: Path) -> None:
    path = book(tmp_path / "1.xlsx", HEADER + '<row r="2"><c r="A2" t="str"><v>a_x0000_b</v></c></row>')
    assert rejects(engine, XLSX, path) == [(None, 1, "A2: the character '\\x00' is no text", "a\\x00b")]


def test_a_bomb_of_entities_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    inner = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<!DOCTYPE w [<!ENTITY e0 "{"x" * 100}">{inner}]>'
    path = book(tmp_path / "1.xlsx", '<row r="1"><c r="A1" t="str"><v>&e9;</v></c></row>', head=head)
    assert "workbook" in refusal(engine, XLSX, path)


def test_the_first_visible_sheet_is_read_and_the_others_are_named(engine: DuckEngine, tmp_path: Path) -> None:
    import xlsxwriter

    path = tmp_path / "1.xlsx"
    with xlsxwriter.Workbook(path) as made:
        for name, row in (("2030", ["k", 1]), ("2031", ["k", 2]), ("Feb", ["w", 3])):
            sheet = made.add_worksheet(name)
            sheet.write_column(0, 0, row)
            if name == "2030":
                sheet.hide()
            if name == "2031":
                sheet.activate()
                sheet.set_first_sheet()
    assert values(engine, XLSX, path) == [("2",)]
    assert readers.read(engine, XLSX, path).notes == ('sheets not read ("2030" (hidden), "Feb")',)
    every = replace(XLSX, sheet="*")
    assert readers.read(engine, every, path).columns == ("k", "w", "_sheet")
    assert readers.read(engine, every, path).notes == ('sheets not read ("2030" (hidden))',)
    assert values(engine, every, path) == [("2", None, "2031"), (None, "3", "Feb")]
    assert values(engine, replace(XLSX, sheet="2030"), path) == [("1",)]
    assert readers.read(engine, replace(XLSX, sheet="2030"), path).notes == ()


def test_workbooks_of_older_programs_are_read_alike(engine: DuckEngine, tmp_path: Path) -> None:
    path = tmp_path / "1.xls"
    path.write_bytes(unpacked(OLD))
    assert readers.read(engine, XLSX, path).notes == ('sheets not read ("old" (hidden))',)
    assert values(engine, XLSX, path) == [
        ("1", "0.3333333333333333"),
        ("2", "99999999.99"),
        ("3", "#DIV/0!"),
        ("4", "2024-01-31 05:17:00"),
        ("5", "05:15"),
        ("6", "30:00"),
        ("7", "true"),
        ("8", "plain"),
    ]


def test_what_is_no_workbook_is_told_as_what_it_is(engine: DuckEngine, tmp_path: Path) -> None:
    path = tmp_path / "1.xls"
    for content, what in (
        (b"", "not a workbook: an empty file"),
        (b"plain text", "not a workbook: it begins with 'plain te'"),
        (b"<html><table>", "the file is an HTML page, the contract says xlsx"),
        (unpacked(PANIC), "damaged workbook: range start index 4 out of range for slice of length 2"),
        (unpacked(OLD)[:512] + "EncryptedPackage".encode("utf-16-le"), "password-protected workbook"),
    ):
        path.write_bytes(content)
        assert refusal(engine, XLSX, path) == what


def test_a_file_that_ends_its_reader_is_refused_and_the_others_are_taken(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = xlsx._Reader(memory=1_300 << 20)
    monkeypatch.setattr(xlsx, "_reader", small)
    lake.write("silver/shop/orders.yaml", ORDERS.replace("orders/*.csv, format: csv", "orders/*.xls, format: xlsx"))
    orders = [["order_id", "day", "amount", "updated"], ["1", "2024-01-01", "10", "1"]]
    for name in ("a", "c"):
        workbook(lake.land(f"shop/orders/{name}.xls", b""), {"s": [orders[0], [name == "c", *orders[1][1:]]]})
    lake.land("shop/orders/b.xls", unpacked(FAR))
    lake.land("shop/orders/p.xls", unpacked(PANIC))
    run = lake.run()
    small.close()
    (error,) = run.failures.values()
    assert "b.xls" in str(error) and "more than 1300 MB of memory" in str(error)
    assert "p.xls" in str(error) and "damaged workbook" in str(error)
    assert lake.rows("SELECT order_id, _file FROM bronze.shop.orders ORDER BY 1") == [
        ("false", "shop/orders/a.xls"),
        ("true", "shop/orders/c.xls"),
    ]


# -- any value


def moments() -> st.SearchStrategy[datetime]:
    """To the millisecond, which is all that a workbook shows."""
    days = st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 31))
    return days.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


def clock(seconds: float) -> str:
    text = f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}"
    return text if seconds % 60 == 0 else f"{text}:{int(seconds) % 60:02}"


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.floats(-1e300, 1e300).filter(lambda value: value or not repr(value).startswith("-")),
            st.integers(-(10**15), 10**15),
            st.booleans(),
            moments(),
            st.integers(0, 86_399).map(lambda seconds: (datetime.min + timedelta(seconds=seconds)).time()),
            st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)),
            TEXTS,
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_value_comes_out_as_it_went_in(engine: DuckEngine, tmp_path: Path, cells: list[Any]) -> None:
    import xlsxwriter

    path = tmp_path / "1.xlsx"
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        looks = {
            kind: made.add_format({"num_format": code})
            for kind, code in ((datetime, "dd.mm.yy hh:mm"), (time, "hh:mm"), (timedelta, "[h]:mm"))
        }
        sheet.write_string(0, 0, "k")
        sheet.write_string(0, 1, "v")
        for place, cell in enumerate(cells, 1):
            sheet.write_number(place, 0, place)
            if isinstance(cell, str):
                sheet.write_string(place, 1, cell)
            elif type(cell) in looks:
                sheet.write_datetime(place, 1, cell, looks[type(cell)])
            elif isinstance(cell, bool):
                sheet.write_boolean(place, 1, cell)
            else:
                sheet.write_number(place, 1, cell)
    assert [row[1] for row in values(engine, XLSX, path)] == [text(cell) for cell in cells]


def text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "auto" if cell.microsecond else "seconds").rstrip("0" if cell.microsecond else "")
    if isinstance(cell, time):
        return clock((cell.hour * 60 + cell.minute) * 60 + cell.second)
    if isinstance(cell, timedelta):
        return clock(cell.total_seconds())
    if isinstance(cell, float):
        stored = float(f"{cell:.16G}")
        return (
            f"{Decimal(repr(stored)):f}".removesuffix(".0")
            if stored.is_integer() and abs(stored) < 1e21
            else repr(stored)
        )
    return str(cell)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_shortest_text_of_its_double(value: float) -> None:
    for written in (repr(value), f"{value:.17g}"):
        if "." in written or "e" in written:
            read = cell_text.number(written)
            assert float(read) == value
            assert "e" in read or len(read) <= max(len(repr(value)), 22)
    assert not math.isnan(value)


@given(moments(), st.sampled_from(["%.15g", "%.16G", "%.17g"]))
def test_a_moment_is_found_again_in_its_day_count(value: datetime, written: str) -> None:
    since = value - datetime(1899, 12, 30)
    days = written % (since.days + since.seconds / 86_400 + since.microseconds / 86_400_000_000)
    assert cell_text.moment(days, cell_text.DATETIME, from_1904=False) == text(value)
