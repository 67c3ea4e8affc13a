//! Segments of an SMS, counted once in a dry run and once at each send.

use std::hint::black_box;

use stentor_domain::sms;

use crate::beside::Bench;

pub(crate) fn measure(bench: &mut Bench) {
    let plain = "Your card ending in 6222: 1,234.50 EUR are due on 5 December. Details: https://bank.example/cards/6222/repayments/42. \
                 Do not reply to this message; call the number on your card instead. Example Bank";
    let chinese =
        "您尾号6222的信用卡本期应还人民币1,234.50元，到期还款日为12月5日。详情请见 https://bank.example/c/42 。示例银行";
    bench
        .work("size an SMS of GSM-7", || sms::size(black_box(plain)))
        .beside("its characters counted", || black_box(plain).chars().count());
    bench
        .work("size an SMS of UCS-2", || sms::size(black_box(chinese)))
        .beside("its units counted", || black_box(chinese).encode_utf16().count());
}
