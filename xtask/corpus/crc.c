unsigned long crc(const unsigned char *p, unsigned n) {
    unsigned long c = 0xfffffffful;
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0xedb88320ul : c >> 1;
    }
    return ~c;
}
float scale(float x) { return x * 1.5f + 0.25f; }
