from html.parser import HTMLParser

from jaxrain.pages.document import document, facts, figure, folded, table, tiles

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class _Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.text += data


def seen(html):
    parser = _Seen()
    parser.feed(html)
    return parser


def test_text_from_files_is_text_in_every_part_of_a_page():
    parts = {
        "document": lambda text: document(text, ""),
        "facts": lambda text: facts([(text, text)]),
        "tiles": lambda text: tiles([(text, text)]),
        "figure": lambda text: figure(b"", text, text),
        "folded": lambda text: folded(text, ""),
        "table": lambda text: table([text], []),
    }
    for name, part in parts.items():
        hostile, harmless = seen(part(HOSTILE)), seen(part("x"))
        assert hostile.tags == harmless.tags, name
        assert hostile.attributes == harmless.attributes, name
        if name != "figure":
            assert HOSTILE in hostile.text, name
